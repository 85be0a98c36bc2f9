package policy

import "testing"

// TestOnlyTheQueueAndThePolicyWantReplicas: a ScaledObject's own minimum keeps
// nobody from its idleReplicaCount, and wakes nobody there.
func TestOnlyTheQueueAndThePolicyWantReplicas(t *testing.T) {
	for _, c := range []struct {
		name                                string
		policyMin, lo, backlog, raw, demand int
		want                                bool
	}{
		{"nothing", 0, 0, 0, 0, 0, false},
		{"messages", 0, 0, 1, 1, 1, true},
		{"messages a while ago", 0, 0, 0, 0, 2, true},
		{"the ScaledObject's minimum alone", 0, 1, 0, 1, 1, false},
		{"messages below its minimum", 0, 3, 1, 3, 3, true},
		{"more than its minimum a while ago", 0, 1, 0, 1, 2, true},
		{"the policy's minimum", 1, 1, 0, 1, 1, true},
	} {
		f := fleet{lo: c.lo, demand: DemandPlan{Known: true, Backlog: c.backlog, Raw: c.raw, Smoothed: c.demand}}
		f.MinReplicas, f.SQS = c.policyMin, &SQS{}
		if got := f.wanted(); got != c.want {
			t.Errorf("%s: wanted is %t", c.name, got)
		}
		f.SQS = nil
		if f.wanted() {
			t.Errorf("%s: without a queue it is wanted", c.name)
		}
	}
}
