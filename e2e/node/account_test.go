package node_test

import (
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// mayOnlyReadConfigMaps tries what a pod's account may.
func (s *site) mayOnlyReadConfigMaps(kubeconfig string) {
	s.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		s.t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := client.CoreV1().ConfigMaps(s.namespace).Get(s.t.Context(), "settings", metav1.GetOptions{}); err != nil {
		s.t.Errorf("read a ConfigMap as the pod's account: %v", err)
	}
	if _, err := client.CoreV1().Secrets(s.namespace).Get(s.t.Context(), "db", metav1.GetOptions{}); !apierrors.IsForbidden(err) {
		s.t.Errorf("read a Secret as the pod's account: %v, want Forbidden", err)
	}
}
