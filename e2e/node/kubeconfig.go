package node

import (
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// kubeconfig writes a file by which a program reaches the API as its pod's
// ServiceAccount, and no more than that.
func (p *pod) kubeconfig() (string, error) {
	token, err := p.token("")
	if err != nil {
		return "", err
	}
	const name = "pod"
	cluster := clientcmdapi.NewCluster()
	config := p.node.config
	cluster.Server, cluster.TLSServerName = config.Host, config.ServerName
	cluster.CertificateAuthority, cluster.CertificateAuthorityData = config.CAFile, config.CAData
	user := clientcmdapi.NewAuthInfo()
	user.Token = token
	context := clientcmdapi.NewContext()
	context.Cluster, context.AuthInfo, context.Namespace = name, name, p.namespace
	file := clientcmdapi.NewConfig()
	file.Clusters[name], file.AuthInfos[name], file.Contexts[name], file.CurrentContext = cluster, user, context, name
	path := filepath.Join(p.dir, "kubeconfig")
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return "", err
	}
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		return "", fmt.Errorf("write a kubeconfig: %w", err)
	}
	return path, nil
}
