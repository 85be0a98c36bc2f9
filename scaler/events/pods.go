package events

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/gate"
)

// named is how many pods an event of many names.
const named = 3

// maxOutcomes is how many outcomes wait to be told; further ones are not.
const maxOutcomes = 10_000

// Outcome notes what became of an attempt at a pod; it is told with the next
// state. It may be called from anywhere and does not wait; it goes into
// [gate.Options].
func (p *Publisher) Outcome(o gate.Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.outcomes) < maxOutcomes {
		p.outcomes = append(p.outcomes, o)
	}
}

// takeOutcomes returns those that have not been told.
func (p *Publisher) takeOutcomes() map[metrics.ID][]gate.Outcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[metrics.ID][]gate.Outcome{}
	for _, o := range p.outcomes {
		out[o.Workload] = append(out[o.Workload], o)
	}
	p.outcomes = nil
	return out
}

// tally is what happened to pods since it was told last.
type tally struct {
	pods     []string
	since    time.Time // of the first
	sentence string    // of the latest
	told     time.Time
}

func (t *tally) add(o gate.Outcome, sentence string) {
	if len(t.pods) == 0 {
		t.since = o.At
	}
	t.pods, t.sentence = append(t.pods, o.Name), sentence
}

// due reports whether it is to be told at now: what comes together is told
// together, and at most once a minute.
func (t *tally) due(now time.Time) bool {
	return len(t.pods) > 0 && now.Sub(t.since) >= lasts && now.Sub(t.told) >= again
}

// take begins anew.
func (t *tally) take(now time.Time) tally {
	was := *t
	*t = tally{told: now}
	return was
}

// names names some of the pods.
func (t tally) names() string {
	if len(t.pods) <= named {
		return strings.Join(t.pods, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(t.pods[:named], ", "), len(t.pods)-named)
}

// pods is what was told of a workload's pods.
type pods struct {
	waiting episode
	tallies map[string]*tally // by the event's reason
}

// podEvents are the events of tallies, on the workload: what they say of so many
// pods. They are told in this order.
var podEvents = []struct {
	reason, kind, action, words string
}{
	{ConnectionsReserved, corev1.EventTypeNormal, actionAdmit, "passed the gate"},
	{EvictedToFreeConnections, corev1.EventTypeWarning, actionEvict, "evicted to free connections"},
	{RolloutWaitingForConnections, corev1.EventTypeNormal, actionEvict, "of an older revision evicted, because a rollout waits for their connections"},
	{PodsReadyTimeout, corev1.EventTypeWarning, actionEvict, "evicted that did not become ready while others wait for their connections"},
	{EvictionBlocked, corev1.EventTypeWarning, actionEvict, "to be evicted and kept"},
}

// follow tells of a workload's pods.
func (b *pods) follow(p *Publisher, now time.Time, about *corev1.ObjectReference, d *scaler.Decision, w *policy.WorkloadPlan, outcomes []gate.Outcome) {
	if b.tallies == nil {
		b.tallies = map[string]*tally{}
		for _, e := range podEvents {
			b.tallies[e.reason] = &tally{}
		}
	}
	for _, o := range outcomes {
		b.note(p, o)
	}
	for _, e := range podEvents {
		if t := b.tallies[e.reason]; t.due(now) {
			told := t.take(now)
			p.tell(about, e.kind, e.reason, e.action, fmt.Sprintf("workload %s: %s %s (%s): %s",
				w.ID.Name, count(len(told.pods)), e.words, told.names(), told.sentence))
		}
	}
	n, since := scaler.Waiting(d, w.ID)
	if b.waiting.due(now, n > 0, lasts) {
		b.waiting.open = false // it is told again while it lasts
		wait := "waits"
		if n > 1 {
			wait = "wait"
		}
		p.tell(about, corev1.EventTypeNormal, WaitingForConnections, actionDecide, fmt.Sprintf("workload %s: %s %s at the gate, for %s at most: %s",
			w.ID.Name, count(n), wait, now.Sub(since).Round(time.Second), w.Sentence))
	}
}

// note adds an outcome, and tells of it on the pod where it was taken away, or
// stays though it had to go.
func (b *pods) note(p *Publisher, o gate.Outcome) {
	switch {
	case o.Kind == gate.Admit && o.Result == gate.Done:
		b.tallies[ConnectionsReserved].add(o, o.Sentence)
	case o.Kind == gate.Evict && o.Result == gate.Done:
		reason := reasonOf(o.Reason)
		b.tallies[reason].add(o, o.Sentence)
		if reason == RolloutWaitingForConnections {
			reason = EvictedToFreeConnections // of the pod itself
		}
		words := "evicted: "
		if o.Deleted {
			words = "deleted, because a PodDisruptionBudget refused its eviction and the policy ignores them: "
		}
		p.tell(podOf(o), corev1.EventTypeWarning, reason, actionEvict, words+o.Sentence)
	case o.Kind == gate.Evict && (o.Result == gate.Blocked || o.Result == gate.Denied):
		t := b.tallies[EvictionBlocked]
		for _, name := range t.pods {
			if name == o.Name {
				return // tried again
			}
		}
		t.add(o, o.Said)
		p.tell(podOf(o), corev1.EventTypeWarning, EvictionBlocked, actionEvict, "not evicted: "+o.Said+"; it was to go because "+o.Sentence)
	}
}

func reasonOf(r policy.EvictionReason) string {
	switch r {
	case policy.Swap:
		return RolloutWaitingForConnections
	case policy.ReadyTimeout:
		return PodsReadyTimeout
	case policy.Shed:
	}
	return EvictedToFreeConnections
}

func podOf(o gate.Outcome) *corev1.ObjectReference {
	return &corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: o.Workload.Namespace, Name: o.Name, UID: types.UID(o.UID)}
}

func count(pods int) string {
	if pods == 1 {
		return "1 pod"
	}
	return fmt.Sprintf("%d pods", pods)
}
