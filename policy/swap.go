package policy

import (
	"fmt"
	"time"
)

// standstillAfter is how long nothing may move in a rollout before a pod of an older
// revision makes room. Its controller does what it can within milliseconds.
const standstillAfter = 2 * time.Second

// swap takes pods of older revisions away where a rollout waits on itself: pods of
// the newest revision wait at the gate for connections that older ones hold, and
// the controller waits for those of the newest to become available before it lets go
// of older ones. It does so behind a full budget wherever it may do without fewer
// pods than are waiting (Kubernetes pkg/controller/deployment/rolling.go).
//
// Nothing is taken while anything moves: a pod that leaves, was let through just now,
// or is of the newest revision and not ready yet. So at a time no more pods are
// missing than the rollout may do without, and at least one.
func (f *fleet) swap(now time.Time, admissions []Admission) {
	before := f.memory.Standstill
	f.memory.Standstill = Standstill{}
	if !f.gates() || !f.mayEvict() || f.state.Jobs != nil || f.PodSelector != nil || len(admissions) > 0 {
		return
	}
	if f.frozen != nil && f.frozen.Reason != Stopped {
		return
	}
	waiting := f.waiting()
	newest := int64(0)
	for i := range f.state.Pods {
		newest = max(newest, f.state.Pods[i].Revision)
	}
	still := Standstill{Since: now, Replicas: f.state.SpecReplicas}
	for _, p := range f.state.Pods {
		switch {
		case p.Finished:
		case p.Terminating:
			return
		case p.Gated && p.Revision < newest:
			still.OlderGated++
		case p.Gated:
			still.NewestGated++
		case p.Revision < newest:
			still.Older++
		case !p.Ready:
			return
		default:
			still.Newest++
		}
	}
	for _, p := range f.pods {
		if p.promised || f.leaves(now, p) {
			return
		}
	}
	wanting := 0 // pods of the newest revision that only our gate holds back
	for _, p := range waiting {
		if p.Revision == newest {
			wanting++
		}
	}
	if still.Older == 0 || wanting == 0 {
		return
	}
	if !before.Since.IsZero() {
		since := before.Since
		before.Since = still.Since
		if before == still {
			still.Since = since
		}
	}
	f.memory.Standstill = still
	if now.Sub(still.Since) < standstillAfter {
		return
	}
	n := min(wanting, still.Older, max(1, f.state.MaxUnavailable.Down(f.state.SpecReplicas)))
	for _, p := range f.leavers(now) {
		if n > 0 && p.Revision < newest {
			f.evict(now, p, Swap, fmt.Sprintf("%s of the newest revision wait for connections, and the rollout for them: a pod of an older revision makes room", podCount(wanting)))
			n--
		}
	}
}

func podCount(n int) string {
	if n == 1 {
		return "1 pod"
	}
	return fmt.Sprintf("%d pods", n)
}
