package kube

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// typedAs is a projection of objects of one type.
func typedAs[O, T any](project func(O) T) func(any) (T, error) {
	return func(object any) (T, error) {
		typed, ok := object.(O)
		if !ok {
			var none T
			return none, fmt.Errorf("expected a %T, found a %T", *new(O), object)
		}
		return project(typed), nil
	}
}

// read is an object that client-go has no type for, or why it can't be read.
type read[T any] struct {
	object  T
	problem string // "" for none
}

// untypedAs is a projection of such objects. What can't be read stays in the
// table with its problem: leaving it out would look as if it were not there.
func untypedAs[T any](project func(T) T) func(any) (read[T], error) {
	return typedAs(func(object *unstructured.Unstructured) read[T] { return readAs(object.Object, project) })
}

func readAs[T any](object map[string]any, project func(T) T) read[T] {
	var in T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, &in); err != nil {
		return read[T]{problem: fmt.Sprintf("expected what %T says: %v", in, err)}
	}
	return read[T]{object: project(in)}
}

// aboutOf returns what is kept of an object's metadata.
func aboutOf(m metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: m.Namespace, Name: m.Name, UID: m.UID, CreationTimestamp: m.CreationTimestamp,
		Annotations: matching(m.Annotations, annotationPrefixes), OwnerReferences: m.OwnerReferences,
	}
}

// templateOf returns what is kept of a pod template: whether its pods are gated.
func templateOf(t corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: matching(t.Labels, []string{ourPrefix})},
		Spec:       corev1.PodSpec{SchedulingGates: t.Spec.SchedulingGates},
	}
}

const ourPrefix = "keda-headroom.github.io/"

// annotationPrefixes are those of the annotations that KEDA or Headroom act on.
var annotationPrefixes = []string{
	"autoscaling.keda.sh/", "scaledobject.keda.sh/", "scaledjob.keda.sh/", "validations.keda.sh/", ourPrefix,
}

// matching returns the entries whose name has one of the prefixes, nil for none.
func matching(all map[string]string, prefixes []string) map[string]string {
	var kept map[string]string
	for name, value := range all {
		for _, prefix := range prefixes {
			if strings.HasPrefix(name, prefix) {
				if kept == nil {
					kept = make(map[string]string)
				}
				kept[name] = value
			}
		}
	}
	return kept
}

// count returns the number that a pointer leads to, or what it is by default. A
// number below 0, which the API server would refuse, counts as 0.
func count(n *int32, otherwise int) int {
	if n == nil {
		return otherwise
	}
	return max(int(*n), 0)
}
