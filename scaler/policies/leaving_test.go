package policies

import (
	"strings"
	"testing"

	"github.com/keda-headroom/headroom/policy"
)

// modes are the workloads in force, with their modes, ! where refused.
func modes(r Result) string {
	var out []string
	for _, w := range r.Set.Workloads {
		text := w.ID.Name + "=" + string(w.Mode)
		if w.ScaleTarget != nil {
			text += " of " + w.ScaleTarget.Name
		}
		if w.Refusal != nil {
			text += "!"
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

// TestNobodyIsForgottenAtTheGate: a workload that is opted out stays until its pods
// were let through.
func TestNobodyIsForgottenAtTheGate(t *testing.T) {
	w := newWorld(t)
	is := func(what, want string) {
		t.Helper()
		if got := modes(w.last); got != want {
			t.Errorf("%s:\n got %s\nwant %s", what, got, want)
		}
	}
	db := input("db", 1, document("db"))
	gate := strings.Replace(workload("orders", "db", 5), "Target", "Gate", 1)
	watched := strings.Replace(workload("watched", "db", 2), "Target", "Observe", 1)
	a := input("a", 2, document("", gate, watched))
	w.maps.Found(Found{Inputs: []Input{a, db}})
	is("in force", "orders=Gate watched=Observe")
	w.gated["orders"], w.gated["watched"] = true, true

	w.maps.Found(Found{Inputs: []Input{db}})
	is("deleted", "orders=Gate! watched=Observe of watched!")
	if p := w.last.Problems; len(p) != 2 || p[0].Code != CodeDeleted || !strings.Contains(p[1].Rule, "they are let through") {
		t.Errorf("expected a warning of each, found %v", p)
	}
	w.keeper.Recheck()
	is("a trigger still names it", "orders=Gate! watched=Observe of watched!")
	w.optedOut["orders"] = true
	w.keeper.Recheck()
	is("opted out", "orders=Observe of orders! watched=Observe of watched!")
	if r := w.last.Set.Workloads[0].Refusal; r.Reason != policy.PolicyInvalid || !strings.Contains(r.Sentence, "let through") {
		t.Errorf("the refusal is %+v", r)
	}
	w.gated["watched"] = false
	w.keeper.Recheck()
	is("none of one waits any more", "orders=Observe of orders!")

	// What is needed to let go outlives the process, and the database's policy.
	w.maps.Found(Found{})
	is("nobody describes the database either", "orders=Observe of orders!")
	if len(w.last.Set.Databases) != 1 || len(w.last.Kept) != 2 {
		t.Errorf("databases %v, kept %v", w.last.Set.Databases, w.last.Kept)
	}

	// Somebody else governs the same Deployment.
	other := strings.Replace(gate, "- name: orders\n", "- name: orders-2\n", 1)
	other = strings.Replace(other, "scaledObjectRef: {name: orders}", "scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: orders}", 1)
	w.maps.Found(Found{Inputs: []Input{db, input("b", 3, document("", other))}})
	is("another workload has its target", "orders-2=Gate of orders")

	// Nothing names a target but its policy.
	w.optedOut["orders-2"], w.gated["orders-2"] = true, true
	w.maps.Found(Found{Inputs: []Input{db}})
	is("a target's policy is deleted", "orders-2=Observe of orders!")
	w.gated["orders-2"] = false
	w.keeper.Recheck()
	is("let go", "")
	w.maps.Found(Found{})
	if len(w.last.Kept) != 0 || len(w.last.Set.Databases) != 0 {
		t.Errorf("expected nothing to be kept, found %v", w.last)
	}
}
