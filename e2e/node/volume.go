package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// accountPath is where every pod finds its ServiceAccount's token. Programs here
// have a kubeconfig instead, and most have no use for it.
const accountPath = "/var/run/secrets/kubernetes.io/serviceaccount"

// mount makes the files of the container's volumes, anew at each start.
func (p *pod) mount(program Program) (mounts, error) {
	object := p.current()
	var out mounts
	for _, m := range object.Spec.Containers[0].VolumeMounts {
		if m.MountPath == accountPath && !program.ServiceAccount {
			continue
		}
		dir := filepath.Join(p.dir, "volumes", m.Name)
		for _, v := range object.Spec.Volumes {
			if v.Name != m.Name {
				continue
			}
			if err := p.materialize(v, dir); err != nil {
				return nil, fmt.Errorf("volume %s: %w", v.Name, err)
			}
		}
		out = append(out, mounted{at: strings.TrimRight(m.MountPath, "/"), host: filepath.Join(dir, m.SubPath)})
	}
	return out, nil
}

// materialize makes a volume's directory. What is in one already stays, so that
// an emptyDir survives a restart.
func (p *pod) materialize(v corev1.Volume, dir string) error {
	var files map[string]string
	var err error
	switch {
	case v.EmptyDir != nil:
	case v.ConfigMap != nil:
		files, err = p.configMap(v.ConfigMap.Name, v.ConfigMap.Optional)
		files = chosen(files, v.ConfigMap.Items)
	case v.Secret != nil:
		files, err = p.secret(v.Secret.SecretName, v.Secret.Optional)
		files = chosen(files, v.Secret.Items)
	case v.DownwardAPI != nil:
		files, err = p.downward(v.DownwardAPI.Items)
	case v.Projected != nil:
		files, err = p.projected(v.Projected.Sources)
	default:
		err = fmt.Errorf("this node has emptyDir, configMap, secret, downwardAPI and projected volumes only")
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// chosen are the files that items name, or all where there are none.
func chosen(files map[string]string, items []corev1.KeyToPath) map[string]string {
	if len(items) == 0 {
		return files
	}
	out := map[string]string{}
	for _, item := range items {
		if content, ok := files[item.Key]; ok {
			out[item.Path] = content
		}
	}
	return out
}

func (p *pod) downward(items []corev1.DownwardAPIVolumeFile) (map[string]string, error) {
	files := map[string]string{}
	for _, item := range items {
		var err error
		switch {
		case item.FieldRef != nil:
			files[item.Path], err = p.field(item.FieldRef.FieldPath)
		case item.ResourceFieldRef != nil:
			files[item.Path], err = p.resource(item.ResourceFieldRef)
		}
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

func (p *pod) projected(sources []corev1.VolumeProjection) (map[string]string, error) {
	files := map[string]string{}
	for _, s := range sources {
		var some map[string]string
		var err error
		switch {
		case s.ConfigMap != nil:
			some, err = p.configMap(s.ConfigMap.Name, s.ConfigMap.Optional)
			some = chosen(some, s.ConfigMap.Items)
		case s.Secret != nil:
			some, err = p.secret(s.Secret.Name, s.Secret.Optional)
			some = chosen(some, s.Secret.Items)
		case s.DownwardAPI != nil:
			some, err = p.downward(s.DownwardAPI.Items)
		case s.ServiceAccountToken != nil:
			var token string
			token, err = p.token(s.ServiceAccountToken.Audience)
			some = map[string]string{s.ServiceAccountToken.Path: token}
		default:
			err = fmt.Errorf("this node projects configMap, secret, downwardAPI and serviceAccountToken only")
		}
		if err != nil {
			return nil, err
		}
		for path, content := range some {
			files[path] = content
		}
	}
	return files, nil
}

// token is one of the pod's ServiceAccount, for a day, and for no longer than the
// pod is there. "" is the API's own audience.
func (p *pod) token(audience string) (string, error) {
	ctx, cancel := context.WithTimeout(p.wanted, requestTimeout)
	defer cancel()
	object, day := p.current(), int64(24*60*60)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: &day,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: object.Name, UID: object.UID},
	}}
	if audience != "" {
		request.Spec.Audiences = []string{audience}
	}
	account := object.Spec.ServiceAccountName
	answer, err := p.node.client.CoreV1().ServiceAccounts(p.namespace).CreateToken(ctx, account, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("a token of ServiceAccount %s/%s: %w", p.namespace, account, err)
	}
	return answer.Status.Token, nil
}
