package service

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// portOf is the pod's port behind a Service's port, false where the pod is none
// of the Service's, or gets no connections.
func portOf(service *corev1.Service, name string, port int32, pod *corev1.Pod) (int32, bool) {
	switch {
	case service.Name != name, len(service.Spec.Selector) == 0, !labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(pod.Labels)):
		return 0, false
	case pod.Status.PodIP == "", pod.Status.Phase == corev1.PodSucceeded, pod.Status.Phase == corev1.PodFailed:
		return 0, false
	case !service.Spec.PublishNotReadyAddresses && (pod.DeletionTimestamp != nil || !ready(pod)):
		return 0, false
	}
	for _, p := range service.Spec.Ports {
		if p.Port != port {
			continue
		}
		if p.TargetPort.Type == intstr.Int {
			if p.TargetPort.IntVal == 0 {
				return p.Port, true
			}
			return p.TargetPort.IntVal, true
		}
		for _, c := range pod.Spec.Containers {
			for _, named := range c.Ports {
				if named.Name == p.TargetPort.StrVal {
					return named.ContainerPort, true
				}
			}
		}
	}
	return 0, false
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
