package gate

import (
	"maps"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// Kind is what is done to a pod.
type Kind string

// The kinds, in the order in which one plan's are done.
const (
	Stamp Kind = "Stamp" // writes the term on a gated pod
	Evict Kind = "Evict" // takes a pod away
	Admit Kind = "Admit" // removes our gate and stamps the grant
)

// Action is one thing that a plan wants done to one pod.
type Action struct {
	Kind     Kind
	Workload metrics.ID
	// Name and UID are the pod's; it stands in the workload's namespace.
	Name, UID string
	// Term is the term in which it was planned, Planned is when. It may be done in
	// that term alone.
	Term    string
	Planned time.Time
	// Version is the resourceVersion that the pod must still have; "" is any. An
	// admission always has one.
	Version string

	// Epoch is what a stamp writes.
	Epoch string

	// Grant is what an admission stamps: connections by database.
	Grant map[string]int
	// Annotated is true where the pod is known to have an annotation.
	Annotated bool
	// CreatedAt is when the pod was made, the zero time where that isn't known.
	CreatedAt time.Time

	// Sentence says why in words: of an eviction its own, else the decision for the
	// workload. Reason is the reason for an eviction.
	Sentence string
	Reason   policy.EvictionReason
	// IgnoreDisruptionBudgets deletes the pod where a PodDisruptionBudget refuses
	// its eviction.
	IgnoreDisruptionBudgets bool
}

// Actions returns what a plan wants done, in order. A plan that was made in no
// term wants nothing. An admission whose pod has no version is left out: nothing
// could take it back.
func Actions(p policy.Plan, s policy.Snapshot) []Action {
	if s.Epoch == "" {
		return nil
	}
	var stamps, evictions, admissions []Action
	for _, w := range p.Workloads {
		if len(w.Stamps)+len(w.Evictions)+len(w.Admissions) == 0 {
			continue
		}
		pods := podsOf(s, w.ID)
		base := Action{Workload: w.ID, Term: s.Epoch, Planned: p.At, Sentence: w.Sentence}
		for _, stamp := range w.Stamps {
			a := base
			a.Kind, a.Name, a.UID, a.Version, a.Epoch = Stamp, stamp.Name, stamp.UID, stamp.Version, stamp.Epoch
			stamps = append(stamps, a)
		}
		for _, eviction := range w.Evictions {
			a := base
			a.Kind, a.Name, a.UID, a.Version = Evict, eviction.Name, eviction.UID, eviction.Version
			a.Reason, a.Sentence, a.IgnoreDisruptionBudgets = eviction.Reason, eviction.Sentence, eviction.IgnoreDisruptionBudgets
			evictions = append(evictions, a)
		}
		for _, admission := range w.Admissions {
			if admission.Version == "" {
				continue
			}
			a := base
			a.Kind, a.Name, a.UID, a.Version = Admit, admission.Name, admission.UID, admission.Version
			a.Grant = admission.Grant
			pod := pods[admission.UID]
			a.Annotated, a.CreatedAt = pod.Epoch != "" || pod.Grant != nil, pod.CreatedAt
			admissions = append(admissions, a)
		}
	}
	return append(append(stamps, evictions...), admissions...)
}

func podsOf(s policy.Snapshot, id metrics.ID) map[string]metrics.Pod {
	fleet, _ := s.Fleets[id].Last()
	pods := make(map[string]metrics.Pod, len(fleet.Pods))
	for _, p := range fleet.Pods {
		pods[p.UID] = p
	}
	return pods
}

// same reports whether two actions ask the API server for the same.
func (a Action) same(b Action) bool {
	return a.Kind == b.Kind && a.UID == b.UID && a.Version == b.Version && a.Epoch == b.Epoch &&
		a.Annotated == b.Annotated && a.IgnoreDisruptionBudgets == b.IgnoreDisruptionBudgets && maps.Equal(a.Grant, b.Grant)
}
