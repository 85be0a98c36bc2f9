package bench

import (
	"bytes"
	"context"
	"errors"
	"io"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// inNamespace puts every document that names no namespace into one, as kubectl's
// --namespace does. Documents of cluster-wide kinds have no place in a lane.
func inNamespace(manifests []byte, namespace string) ([]byte, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	var out bytes.Buffer
	for {
		var object unstructured.Unstructured
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return out.Bytes(), nil
		}
		if err != nil {
			return nil, err
		}
		if len(object.Object) == 0 {
			continue
		}
		if object.GetNamespace() == "" {
			object.SetNamespace(namespace)
		}
		document, err := object.MarshalJSON()
		if err != nil {
			return nil, err
		}
		out.WriteString("---\n")
		out.Write(document)
		out.WriteString("\n")
	}
}

// gone says whether the lane's namespace is no longer there.
func (l *lane) gone(ctx context.Context) (bool, error) {
	_, err := l.stage.cluster.Client().CoreV1().Namespaces().Get(ctx, l.lane.Namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	return false, err
}
