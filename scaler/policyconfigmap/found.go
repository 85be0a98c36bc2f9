package policyconfigmap

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/policies"
)

// endings are those of keys that hold policies.
var endings = []string{".yaml", ".yml", ".json"}

// found is what stands in ConfigMaps, in a stable order.
func found(objects []any) policies.Found {
	var out policies.Found
	for _, object := range objects {
		if m, ok := object.(*corev1.ConfigMap); ok {
			out.Inputs = append(out.Inputs, inputs(m)...)
		}
	}
	slices.SortFunc(out.Inputs, func(a, b policies.Input) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

// inputs are the policies in one ConfigMap.
func inputs(m *corev1.ConfigMap) []policies.Input {
	input := func(key string) policies.Input {
		return policies.Input{
			Key: m.Namespace + "/" + m.Name + "/" + key, Name: m.Name, UID: string(m.UID),
			Stopped: ParseStopped(m.Annotations[StoppedAnnotation]),
			Source: policy.Source{
				Namespace: m.Namespace, Name: m.Name, CreatedAt: m.CreationTimestamp.UTC(),
				Where: strings.TrimSuffix(fmt.Sprintf("ConfigMap %s/%s %s", m.Namespace, m.Name, key), " "),
			},
		}
	}
	var out []policies.Input
	for key, text := range m.Data {
		if slices.Contains(endings, strings.ToLower(path.Ext(key))) {
			in := input(key)
			in.Content = []byte(text)
			out = append(out, in)
		}
	}
	if len(out) > 0 {
		return out
	}
	in := input("")
	in.Err = fmt.Errorf("expected a key of data that ends in %s, found %s", strings.Join(endings, ", "), keys(m))
	return []policies.Input{in}
}

// keys names what a ConfigMap has instead of a policy.
func keys(m *corev1.ConfigMap) string {
	if len(m.Data) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m.Data)), ", ")
}
