package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/keda-headroom/headroom/internal/dbenv"
)

// environment resolves pods' environments into the databases that they name.
type environment struct {
	client   kubernetes.Interface
	secrets  bool // may be read
	services map[string]*corev1.Service
	maps     map[string]map[string]string // of ConfigMaps that were read
	hidden   map[string]map[string]string // of Secrets that were read
}

// use is one server that a pod connects to, all its containers together.
type use struct {
	server          string
	from            string
	connections     int // 0 is unknown
	connectionsFrom string
	user, database  string
}

// uses returns the servers that the pods of a template name. The error says what
// could not be read; what could is returned all the same.
func (e *environment) uses(ctx context.Context, namespace string, template *corev1.PodTemplateSpec) ([]use, error) {
	if template == nil {
		return nil, nil
	}
	var found []use
	var wrong []error
	for _, container := range running(template.Spec) {
		variables, err := e.variables(ctx, namespace, container)
		if err != nil {
			wrong = append(wrong, err)
		}
		for _, u := range dbenv.Find(variables) {
			server, err := e.server(namespace, u)
			if err != nil {
				wrong = append(wrong, fmt.Errorf("container %s: %w", container.Name, err))
				continue
			}
			one := use{server, u.From, u.Connections, u.ConnectionsFrom, u.User, u.Database}
			at := slices.IndexFunc(found, func(f use) bool { return f.server == server })
			if at < 0 {
				found = append(found, one)
				continue
			}
			// Another container of the pod has a pool of its own.
			f := &found[at]
			switch {
			case f.connections > 0 && u.Connections > 0:
				f.connections, f.connectionsFrom = f.connections+u.Connections, f.connectionsFrom+" + "+u.ConnectionsFrom
			case u.Connections > 0:
				f.connections, f.connectionsFrom = u.Connections, u.ConnectionsFrom
			}
		}
	}
	return found, errors.Join(wrong...)
}

// running returns the containers that stay: those that only initialize are gone
// when the others start.
func running(spec corev1.PodSpec) []corev1.Container {
	all := slices.Clone(spec.Containers)
	for _, c := range spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			all = append(all, c)
		}
	}
	return all
}

// server names a server in one way, whatever namespace it is named from.
func (e *environment) server(namespace string, u dbenv.Use) (string, error) {
	host := e.canonical(namespace, u.Host)
	if ip := net.ParseIP(host); host == "localhost" || (ip != nil && ip.IsLoopback()) {
		return "", fmt.Errorf("%s leads to a proxy in its own pod: the database behind it is not known", u.From)
	}
	if u.Port != "" {
		return net.JoinHostPort(host, u.Port), nil
	}
	return host, nil
}

// canonical writes a Service's name as NAME.NAMESPACE.svc, and follows one that
// stands for an external name.
func (e *environment) canonical(namespace, host string) string {
	host = strings.TrimSuffix(strings.TrimSuffix(host, "."), ".cluster.local")
	name, rest, _ := strings.Cut(host, ".")
	at, domain, _ := strings.Cut(rest, ".")
	switch {
	case rest == "":
		at = namespace
	case domain != "" && domain != "svc":
		return host
	}
	service := e.services[at+"/"+name]
	switch {
	case service == nil && domain == "svc":
		return host
	case service == nil:
		return host
	case service.Spec.Type == corev1.ServiceTypeExternalName:
		return strings.ToLower(strings.TrimSuffix(service.Spec.ExternalName, "."))
	}
	return name + "." + at + ".svc"
}

// variables resolves a container's environment, envFrom first.
func (e *environment) variables(ctx context.Context, namespace string, c corev1.Container) (map[string]dbenv.Variable, error) {
	out := map[string]dbenv.Variable{}
	var wrong []error
	for _, from := range c.EnvFrom {
		var values map[string]string
		var err error
		secret := from.SecretRef != nil
		switch {
		case from.ConfigMapRef != nil:
			values, err = e.configMap(ctx, namespace, from.ConfigMapRef.Name)
		case secret:
			values, err = e.secret(ctx, namespace, from.SecretRef.Name)
		}
		if err != nil {
			wrong = append(wrong, err)
		}
		for key, value := range values {
			out[from.Prefix+key] = dbenv.Variable{Value: value, Secret: secret}
		}
	}
	for _, v := range c.Env {
		var values map[string]string
		var err error
		key, secret := "", false
		switch {
		case v.ValueFrom == nil:
			out[v.Name] = expand(v.Value, out)
			continue
		case v.ValueFrom.ConfigMapKeyRef != nil:
			key = v.ValueFrom.ConfigMapKeyRef.Key
			values, err = e.configMap(ctx, namespace, v.ValueFrom.ConfigMapKeyRef.Name)
		case v.ValueFrom.SecretKeyRef != nil:
			key, secret = v.ValueFrom.SecretKeyRef.Key, true
			values, err = e.secret(ctx, namespace, v.ValueFrom.SecretKeyRef.Name)
		}
		if err != nil {
			wrong = append(wrong, err)
		}
		delete(out, v.Name)
		if value, ok := values[key]; ok {
			out[v.Name] = dbenv.Variable{Value: value, Secret: secret}
		}
	}
	return out, errors.Join(wrong...)
}

// expand writes $(NAME) out, as Kubernetes does for variables that stand before.
// What is made with a secret is one.
func expand(text string, known map[string]dbenv.Variable) dbenv.Variable {
	out := dbenv.Variable{Value: text}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if v := known[name]; strings.Contains(out.Value, "$("+name+")") {
			out.Value, out.Secret = strings.ReplaceAll(out.Value, "$("+name+")", v.Value), out.Secret || v.Secret
		}
	}
	return out
}

func (e *environment) configMap(ctx context.Context, namespace, name string) (map[string]string, error) {
	at := namespace + "/" + name
	if known, ok := e.maps[at]; ok {
		return known, nil
	}
	e.maps[at] = nil
	m, err := e.client.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, unreadable("ConfigMap", at, err)
	}
	e.maps[at] = m.Data
	return m.Data, nil
}

// secret returns a Secret's values where they may be read.
func (e *environment) secret(ctx context.Context, namespace, name string) (map[string]string, error) {
	at := namespace + "/" + name
	if known, ok := e.hidden[at]; ok || !e.secrets {
		return known, nil
	}
	e.hidden[at] = nil
	s, err := e.client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, unreadable("Secret", at, err)
	}
	values := map[string]string{}
	for key, value := range s.Data {
		values[key] = string(value)
	}
	e.hidden[at] = values
	return values, nil
}

func unreadable(kind, at string, err error) error {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("there is no %s %s that its pods take variables from", kind, at)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("expected permission to get %s %s, which its pods take variables from", kind, at)
	}
	return fmt.Errorf("get %s %s: %w", kind, at, err)
}
