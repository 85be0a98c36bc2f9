package policyconfigmap

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/keda-headroom/headroom/scaler/policies"
)

func TestNamesOfStoppedWorkloads(t *testing.T) {
	for text, want := range map[string][]string{
		"": nil, " , ": nil, "orders": {"orders"}, "b, a,b ,": {"a", "b"}, "*": {"*"}, "a,*": {"*", "a"},
	} {
		if got := ParseStopped(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for want, names := range map[string][]string{"": nil, "a,b": {"b", "a", "b", ""}, "*": {"a", "*"}} {
		if got := FormatStopped(names); got != want {
			t.Errorf("%q: %q, want %q", names, got, want)
		}
	}
}

// TestAnAnnotationAloneStops: nothing else of the ConfigMap has to change.
func TestAnAnnotationAloneStops(t *testing.T) {
	text := database("db") + "workloads: [{name: orders, databaseRefs: [{name: db, user: u, connectionsPerPod: 1}]}]\n"
	client := fake.NewClientset(configMap("a", map[string]string{"a.yaml": text}))
	w := watch(t, client)
	stopped := func(want bool) {
		t.Helper()
		deadline := time.After(time.Minute)
		for {
			select {
			case r := <-w.results:
				if len(r.Set.Workloads) == 1 && r.Set.Workloads[0].Stopped == want {
					return
				}
			case <-deadline:
				t.Fatalf("stopped never became %v", want)
			}
		}
	}
	stopped(false)
	for _, step := range []struct {
		value string
		want  bool
	}{{"orders", true}, {"", false}, {policies.StopAll, true}} {
		m := configMap("a", map[string]string{"a.yaml": text})
		m.Annotations = map[string]string{StoppedAnnotation: step.value, "kubectl.kubernetes.io/last-applied-configuration": "long"}
		if _, err := client.CoreV1().ConfigMaps("shop").Update(t.Context(), m, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		stopped(step.want)
	}
}
