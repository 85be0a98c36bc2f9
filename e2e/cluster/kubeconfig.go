package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// tokenSeconds is how long the tokens in kubeconfig files hold.
const tokenSeconds = int64(24 * time.Hour / time.Second)

// AdminKubeconfig is the path of a kubeconfig file for whoever may do everything.
func (c *Cluster) AdminKubeconfig() string { return c.kubeconfigPath("admin") }

// ServiceAccountKubeconfig writes a kubeconfig file for an existing ServiceAccount,
// with a token that holds for a day, and returns its path. Its namespace is the
// account's.
func (c *Cluster) ServiceAccountKubeconfig(ctx context.Context, namespace, name string) (string, error) {
	expiry := tokenSeconds
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &expiry}}
	granted, err := c.client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("token for ServiceAccount %s/%s: %w", namespace, name, err)
	}
	return c.writeKubeconfig(namespace+"."+name, namespace, &api.AuthInfo{Token: granted.Status.Token})
}

// userKubeconfig writes a kubeconfig file for a user who is known by a certificate.
func (c *Cluster) userKubeconfig(file, user string, groups ...string) (string, error) {
	files, err := c.authority.issue(user, groups)
	if err != nil {
		return "", err
	}
	return c.writeKubeconfig(file, "", &api.AuthInfo{ClientCertificate: files.certificate, ClientKey: files.key})
}

func (c *Cluster) writeKubeconfig(file, namespace string, who *api.AuthInfo) (string, error) {
	const name = "e2e"
	config := api.NewConfig()
	config.Clusters[name] = &api.Cluster{Server: c.server, CertificateAuthorityData: c.authority.pem}
	config.AuthInfos[name] = who
	config.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name, Namespace: namespace}
	config.CurrentContext = name
	content, err := clientcmd.Write(*config)
	if err != nil {
		return "", err
	}
	path := c.kubeconfigPath(file)
	return path, os.WriteFile(path, content, 0o600)
}

func (c *Cluster) kubeconfigPath(file string) string {
	return filepath.Join(c.dir, "kubeconfigs", file+".yaml")
}
