package admission_test

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestWhoGetsTheGate(t *testing.T) {
	w := sharedWorld(t)
	w.injects(t)
	both := func(p *corev1.Pod) { optedIn(p); gated(p) }
	for name, test := range map[string]struct {
		namespace string
		change    func(*corev1.Pod)
		want      string
	}{
		"with-the-label":     {"shop", optedIn, gate},
		"without-the-label":  {"shop", nil, ""},
		"another-value":      {"shop", func(p *corev1.Pod) { p.Labels[optIn] = "false" }, ""},
		"never-by-namespace": {"labeled", nil, ""},
		"beside-another-gate": {"shop", func(p *corev1.Pod) {
			optedIn(p)
			p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: foreignGate}}
		}, foreignGate + " " + gate},
		"gated-already":         {"shop", both, gate},
		"gated-by-its-template": {"shop", gated, gate},
		"named-its-node":        {"shop", func(p *corev1.Pod) { optedIn(p); p.Spec.NodeName = "node" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := gates(w.create(t, test.namespace, pod(name, test.change))); got != test.want {
				t.Errorf("expected the gates %q, found %q", test.want, got)
			}
		})
	}
}

const fleet = `
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: shop, name: NAME}
spec:
  replicas: 2
  selector: {matchLabels: {fleet: NAME}}
  template:
    metadata:
      labels: {fleet: NAME, keda-headroom.github.io/gate: "true"}
      annotations: ANNOTATIONS
    spec: {containers: [{name: worker, image: "worker:1"}]}
`

func (w world) fleet(t *testing.T, name, annotations string) {
	t.Helper()
	documents := []byte(strings.NewReplacer("NAME", name, "ANNOTATIONS", annotations).Replace(fleet))
	if err := w.Apply(t.Context(), documents); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Delete(context.WithoutCancel(t.Context()), documents); err != nil {
			t.Error(err)
		}
	})
}

// Whoever makes the pods needs to know nothing of the gate.
func TestAFleetIsGatedByALabelOfItsTemplate(t *testing.T) {
	w := sharedWorld(t)
	w.injects(t)
	w.fleet(t, "workers", "{}")
	w.wait(t, "two gated pods", func(ctx context.Context) (bool, error) {
		pods, err := w.admin.CoreV1().Pods("shop").List(ctx, metav1.ListOptions{LabelSelector: "fleet=workers"})
		if err != nil || len(pods.Items) != 2 {
			return false, err
		}
		for _, p := range pods.Items {
			if gates(&p) != gate {
				t.Errorf("%s has the gates %q", p.Name, gates(&p))
			}
		}
		return true, nil
	})
}

// A template that was copied from a running pod gets no pods, and says why.
func TestAGrantInATemplateIsRefusedInWords(t *testing.T) {
	w := sharedWorld(t)
	w.fleet(t, "copied", `{`+grant+`: '{"platform/orders-db":5}'}`)
	w.wait(t, "the ReplicaSet's event", func(ctx context.Context) (bool, error) {
		events, err := w.admin.CoreV1().Events("shop").List(ctx, metav1.ListOptions{FieldSelector: "reason=FailedCreate"})
		if err != nil {
			return false, err
		}
		for _, e := range events.Items {
			if strings.Contains(e.Message, "take it out of the template") && strings.Contains(e.Message, grant) && strings.HasPrefix(e.InvolvedObject.Name, "copied-") {
				return true, nil
			}
		}
		return false, nil
	})
}

// latecomer adds the label when pods are made, after the gate's own policy was asked.
const latecomer = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: zz-latecomer}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    objectSelector: {matchLabels: {latecomer: "true"}}
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: 'Object{metadata: Object.metadata{labels: {"keda-headroom.github.io/gate": "true"}}}'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: zz-latecomer}
spec: {policyName: zz-latecomer}
`

// A pod that others opt in is gated, or refused: it doesn't start with the label and
// without the gate.
func TestALabelThatComesLate(t *testing.T) {
	w := sharedWorld(t)
	w.injects(t)
	if err := w.Apply(t.Context(), []byte(latecomer)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Delete(context.WithoutCancel(t.Context()), []byte(latecomer)); err != nil {
			t.Error(err)
		}
	})
	w.wait(t, "the label to be added", func(ctx context.Context) (bool, error) {
		late := pod("late", func(p *corev1.Pod) { p.Labels["latecomer"] = "true" })
		made, err := w.admin.CoreV1().Pods("shop").Create(ctx, late, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		switch {
		case is(err, metav1.StatusReasonInvalid) && strings.Contains(err.Error(), "found none: nothing has added it"):
			t.Log("refused")
			return true, nil
		case err != nil || made.Labels[optIn] == "":
			return false, err
		}
		t.Logf("gated by %q", gates(made))
		if gates(made) != gate {
			t.Errorf("expected the gate, found %q", gates(made))
		}
		return true, nil
	})
}
