package admission_test

import (
	"context"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The API server takes expressions that can't mean anything; a controller looks at
// them and writes down what it thinks of the types.
func TestExpressionsFitTheirTypes(t *testing.T) {
	w := sharedWorld(t)
	policies := w.admin.AdmissionregistrationV1().ValidatingAdmissionPolicies()
	for _, name := range []string{"headroom-gate-keep", "headroom-gate-confine"} {
		w.wait(t, name+" to be looked at", func(ctx context.Context) (bool, error) {
			p, err := policies.Get(ctx, name, metav1.GetOptions{})
			if err != nil || p.Status.TypeChecking == nil || p.Status.ObservedGeneration != p.Generation {
				return false, err
			}
			for _, warning := range p.Status.TypeChecking.ExpressionWarnings {
				t.Errorf("%s %s: %s", name, warning.FieldRef, warning.Warning)
			}
			return true, nil
		})
	}
}
