package node

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// variable is one of a container's environment.
type variable struct{ name, value string }

// environment in the order in which it was made; of two with one name the last
// counts.
type environment []variable

func (e environment) get(name string) (string, bool) {
	for _, v := range slices.Backward(e) {
		if v.name == name {
			return v.value, true
		}
	}
	return "", false
}

// environment is what the container's own specification makes of it.
func (p *pod) environment() (environment, error) {
	object := p.current()
	container := object.Spec.Containers[0]
	var env environment
	for _, from := range container.EnvFrom {
		var data map[string]string
		var err error
		switch {
		case from.ConfigMapRef != nil:
			data, err = p.configMap(from.ConfigMapRef.Name, from.ConfigMapRef.Optional)
		case from.SecretRef != nil:
			data, err = p.secret(from.SecretRef.Name, from.SecretRef.Optional)
		}
		if err != nil {
			return nil, err
		}
		for _, key := range sortedKeys(data) {
			env = append(env, variable{from.Prefix + key, data[key]})
		}
	}
	for _, v := range container.Env {
		value, ok, err := expand(v.Value, env.get), true, error(nil)
		if v.ValueFrom != nil {
			value, ok, err = p.valueFrom(v.ValueFrom)
		}
		if err != nil {
			return nil, fmt.Errorf("environment variable %s: %w", v.Name, err)
		}
		if ok {
			env = append(env, variable{v.Name, value})
		}
	}
	return env, nil
}

// valueFrom is what a source says, false where an optional one says nothing.
func (p *pod) valueFrom(from *corev1.EnvVarSource) (string, bool, error) {
	var kind, name, key string
	var optional *bool
	var data map[string]string
	var err error
	switch {
	case from.FieldRef != nil:
		value, err := p.field(from.FieldRef.FieldPath)
		return value, err == nil, err
	case from.ResourceFieldRef != nil:
		value, err := p.resource(from.ResourceFieldRef)
		return value, err == nil, err
	case from.SecretKeyRef != nil:
		kind, name, key, optional = "secret", from.SecretKeyRef.Name, from.SecretKeyRef.Key, from.SecretKeyRef.Optional
		data, err = p.secret(name, optional)
	case from.ConfigMapKeyRef != nil:
		kind, name, key, optional = "configmap", from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Key, from.ConfigMapKeyRef.Optional
		data, err = p.configMap(name, optional)
	default:
		return "", false, fmt.Errorf("expected fieldRef, resourceFieldRef, secretKeyRef or configMapKeyRef")
	}
	if err != nil {
		return "", false, err
	}
	value, ok := data[key]
	if !ok && (optional == nil || !*optional) {
		return "", false, fmt.Errorf("couldn't find %s", describe(kind, p.namespace, name, key))
	}
	return value, ok, nil
}

// field is one of the pod's own, by its path.
func (p *pod) field(path string) (string, error) {
	object := p.current()
	p.mu.Lock()
	address := p.state.address
	p.mu.Unlock()
	switch path {
	case "metadata.name":
		return object.Name, nil
	case "metadata.namespace":
		return object.Namespace, nil
	case "metadata.uid":
		return string(object.UID), nil
	case "metadata.labels":
		return formatMap(object.Labels), nil
	case "metadata.annotations":
		return formatMap(object.Annotations), nil
	case "spec.nodeName":
		return p.node.options.Name, nil
	case "spec.serviceAccountName":
		return object.Spec.ServiceAccountName, nil
	case "status.podIP", "status.podIPs":
		return address, nil
	case "status.hostIP", "status.hostIPs":
		return hostIP, nil
	}
	for prefix, values := range map[string]map[string]string{"metadata.labels['": object.Labels, "metadata.annotations['": object.Annotations} {
		if key, ok := strings.CutPrefix(path, prefix); ok && strings.HasSuffix(key, "']") {
			return values[strings.TrimSuffix(key, "']")], nil
		}
	}
	return "", fmt.Errorf("unknown field %s of a pod", path)
}

// formatMap is how a volume shows labels: KEY="VALUE", one a line.
func formatMap(values map[string]string) string {
	var lines []string
	for _, key := range sortedKeys(values) {
		lines = append(lines, key+"="+strconv.Quote(values[key]))
	}
	return strings.Join(lines, "\n")
}

// resource is what the container requests or may use, or what the node has
// where it says nothing.
func (p *pod) resource(ref *corev1.ResourceFieldSelector) (string, error) {
	resources := p.current().Spec.Containers[0].Resources
	which, name, _ := strings.Cut(ref.Resource, ".")
	list, ok := map[string]corev1.ResourceList{"limits": resources.Limits, "requests": resources.Requests}[which]
	if !ok {
		return "", fmt.Errorf("unknown resource %s of a container", ref.Resource)
	}
	quantity, ok := list[corev1.ResourceName(name)]
	if !ok {
		if quantity, ok = capacity()[corev1.ResourceName(name)]; !ok {
			return "", fmt.Errorf("unknown resource %s of a container", ref.Resource)
		}
	}
	divisor := ref.Divisor
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	return strconv.FormatInt(int64(math.Ceil(quantity.AsApproximateFloat64()/divisor.AsApproximateFloat64())), 10), nil
}

// secret is a Secret's data; none where an optional one does not exist.
func (p *pod) secret(name string, optional *bool) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(p.wanted, requestTimeout)
	defer cancel()
	object, err := p.node.client.CoreV1().Secrets(p.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, unlessOptional(err, optional)
	}
	return texts(object.Data), nil
}

// configMap is a ConfigMap's data; none where an optional one does not exist.
func (p *pod) configMap(name string, optional *bool) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(p.wanted, requestTimeout)
	defer cancel()
	object, err := p.node.client.CoreV1().ConfigMaps(p.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, unlessOptional(err, optional)
	}
	data := texts(object.BinaryData)
	maps.Copy(data, object.Data)
	return data, nil
}

func unlessOptional(err error, optional *bool) error {
	if apierrors.IsNotFound(err) && optional != nil && *optional {
		return nil
	}
	return err
}

func texts(data map[string][]byte) map[string]string {
	out := make(map[string]string, len(data))
	for key, value := range data {
		out[key] = string(value)
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
