package events

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
)

// workload is what was told of one.
type workload struct {
	// limited is for the reason it is limited by. unlimited is since when it
	// follows demand, for as long as it was told otherwise.
	limited   episode
	reason    policy.Reason
	unlimited episode
	known     bool // that it was limited

	above         episode
	unreachable   episode
	underdeclared map[metrics.ID]*episode
	most          map[metrics.ID]int

	pods pods
}

// follow tells what is new in a state.
func (p *Publisher) follow(state *scaler.State) {
	outcomes := p.takeOutcomes()
	workloads, databases := map[metrics.ID]*workload{}, map[metrics.ID]*episode{}
	for i := range state.Decisions {
		d := &state.Decisions[i]
		for _, database := range d.Plan.Databases {
			e := p.databases[database.ID]
			if e == nil {
				e = &episode{}
			}
			databases[database.ID] = e
			p.database(state.At, e, database)
		}
		for j := range d.Plan.Workloads {
			w := &d.Plan.Workloads[j]
			of, known := d.Group.Workload(w.ID)
			if !known {
				continue
			}
			before := p.workloads[w.ID]
			if before == nil {
				before = &workload{underdeclared: map[metrics.ID]*episode{}, most: map[metrics.ID]int{}}
			}
			workloads[w.ID] = before
			if about, ok := p.options.Workload(of); ok {
				before.follow(p, state.At, about, of, d, w)
				before.pods.follow(p, state.At, about, d, w, outcomes[w.ID])
			}
		}
	}
	p.workloads, p.databases = workloads, databases
}

// database tells of one that can't be read.
func (p *Publisher) database(now time.Time, e *episode, d policy.DatabasePlan) {
	p.mu.Lock()
	about := p.described[d.ID]
	p.mu.Unlock()
	if about != nil && e.due(now, d.Unknown != "", lasts) {
		p.tell(about, corev1.EventTypeWarning, DatabaseUnreachable, actionRead,
			fmt.Sprintf("database %s: %s: nobody on it scales out", d.ID, d.Unknown))
	}
}

func (b *workload) follow(p *Publisher, now time.Time, about *corev1.ObjectReference, of policy.Workload, d *scaler.Decision, w *policy.WorkloadPlan) {
	b.underdeclare(p, now, about, w)
	if w.Mode == policy.Observe {
		return
	}
	limited := scaler.Limits(w.Reason)
	if limited && w.Reason != b.reason {
		b.limited.since, b.limited.open = now, false
	}
	b.reason = w.Reason
	if b.limited.due(now, limited, lasts) {
		b.known = true
		p.tell(about, kindOf(w.Reason), TargetLimited, actionDecide, fmt.Sprintf("workload %s: %s: target %d of %d wanted: %s", w.ID.Name, w.Reason, w.Target, max(w.Demand.Backlog, w.Demand.Smoothed), w.Sentence))
	}
	if b.unlimited.due(now, b.known && !limited, lasts) {
		b.known = false
		p.tell(about, corev1.EventTypeNormal, TargetRecovered, actionDecide, fmt.Sprintf("workload %s follows its queue again: target %d: %s", w.ID.Name, w.Target, w.Sentence))
	}
	b.bypass(p, now, about, of, d, w)
	b.miss(p, now, about, w)
}

// miss tells that the objective can't be kept, as soon as that is known: it is
// reckoned ahead, and there is time to do something about it.
func (b *workload) miss(p *Publisher, now time.Time, about *corev1.ObjectReference, w *policy.WorkloadPlan) {
	sentence := ""
	for _, s := range w.Steps {
		if s.Reason == policy.ObjectiveUnreachable {
			sentence = s.Sentence
		}
	}
	if b.unreachable.due(now, sentence != "", 0) {
		p.tell(about, corev1.EventTypeWarning, ObjectiveUnreachable, actionDecide, fmt.Sprintf("workload %s: %s", w.ID.Name, sentence))
	}
}

// kindOf says whether somebody has to do something about a reason.
func kindOf(r policy.Reason) string {
	switch r {
	case policy.DatabaseUnknown, policy.QueueUnknown, policy.ReplicasUnknown, policy.PolicyInvalid, policy.Unauthorized:
		return corev1.EventTypeWarning
	default:
		return corev1.EventTypeNormal
	}
}

// underdeclare tells of pods that hold more than their policy declares.
func (b *workload) underdeclare(p *Publisher, now time.Time, about *corev1.ObjectReference, w *policy.WorkloadPlan) {
	for _, u := range w.Uses {
		e := b.underdeclared[u.Database]
		if e == nil {
			e = &episode{}
			b.underdeclared[u.Database] = e
		}
		most := max(u.PerPod, u.ObservedMax)
		if most > b.most[u.Database] {
			b.most[u.Database], e.open = most, false
		}
		if e.due(now, most > u.Declared, lasts) {
			p.tell(about, corev1.EventTypeWarning, ConnectionsUnderdeclared, actionDecide, fmt.Sprintf(
				"workload %s: a pod was seen to hold %d connections on database %s, and connectionsPerPod declares %d: each pod counts as %d until the policy or the pool is corrected",
				w.ID.Name, most, u.Database, u.Declared, u.PerPod))
		}
	}
}

// bypass tells of replicas that stay above the ceiling, for longer than the HPA
// takes to follow. Jobs end by themselves, nobody takes them away.
func (b *workload) bypass(p *Publisher, now time.Time, about *corev1.ObjectReference, of policy.Workload, d *scaler.Decision, w *policy.WorkloadPlan) {
	fleet, known := d.Snapshot.Fleets[w.ID].Last()
	follows := hpaFollows + fleet.HPA.ScaleDownStabilization
	is := known && w.Mode == policy.Target && of.ScaledJob == "" && w.Replicas > w.Ceiling
	since := b.above.since
	if b.above.due(now, is, follows) {
		p.tell(about, corev1.EventTypeWarning, CapBypassed, actionDecide, fmt.Sprintf(
			"workload %s: spec.replicas has been %d or so for %s, above the ceiling of %d that KEDA is told: something else sets it or keeps it (a minimum, another trigger, a second HPA, the HPA's tolerance, kubectl scale, fallback or a paused ScaledObject); headroom lint of its manifests names which; mode Gate closes every such way",
			w.ID.Name, w.Replicas, now.Sub(since).Round(time.Second), w.Ceiling))
	}
}
