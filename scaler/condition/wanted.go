package condition

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// Type is the condition's.
const Type corev1.PodConditionType = "keda-headroom.github.io/ConnectionsReserved"

// Reasons of the condition beside those of decisions.
const (
	Admitted   = "Admitted"   // it passed the gate
	OtherGates = "OtherGates" // other gates have to go before ours
)

const (
	// waits is how long a pod has to wait before it is told that it does.
	waits = 5 * time.Second
	// again is the shortest time between two writes to a pod in which only the
	// message changes, or after one that failed.
	again = time.Minute
	// maxMessage is how long a message may be, in bytes.
	maxMessage = 1024
)

// Condition is what is told of one pod.
type Condition struct {
	Status          corev1.ConditionStatus
	Reason, Message string
	// Since is when the status became this one, the zero time where that isn't
	// known.
	Since time.Time
}

// Write is a condition of one pod.
type Write struct {
	Namespace, Name, UID string
	Condition            Condition
	// Term is the term in which it was decided, Planned is when.
	Term    string
	Planned time.Time
}

// Wanted returns what pods are to be told by a plan that was made from a
// snapshot, in the plan's order. A pod that the plan does something with is told
// nothing, and a plan that was made in no term tells nobody.
func Wanted(p policy.Plan, s policy.Snapshot) []Write {
	if s.Epoch == "" {
		return nil
	}
	var out []Write
	for i := range p.Workloads {
		w := &p.Workloads[i]
		if w.Mode == policy.Observe {
			continue
		}
		busy := busy(w)
		fleet, _ := s.Fleets[w.ID].Last()
		for _, pod := range fleet.Pods {
			if pod.Terminating || pod.Finished || busy[pod.UID] {
				continue
			}
			if c, ok := of(w, pod, p.At); ok {
				out = append(out, Write{Namespace: w.ID.Namespace, Name: pod.Name, UID: pod.UID, Condition: c, Term: s.Epoch, Planned: p.At})
			}
		}
	}
	return out
}

// busy are the pods that a plan does something with.
func busy(w *policy.WorkloadPlan) map[string]bool {
	out := map[string]bool{}
	for _, a := range w.Admissions {
		out[a.UID] = true
	}
	for _, s := range w.Stamps {
		out[s.UID] = true
	}
	for _, e := range w.Evictions {
		out[e.UID] = true
	}
	return out
}

// of is what a pod is told, if anything.
func of(w *policy.WorkloadPlan, pod metrics.Pod, now time.Time) (Condition, bool) {
	switch {
	case !pod.Gated && pod.Grant != nil:
		return Condition{Status: corev1.ConditionTrue, Reason: Admitted, Message: granted(pod.Grant)}, true
	case !pod.Gated, now.Sub(pod.CreatedAt) < waits:
		return Condition{}, false
	case pod.OtherGates:
		return Condition{
			Status: corev1.ConditionFalse, Reason: OtherGates, Since: pod.CreatedAt,
			Message: "connections are reserved once the pod's other scheduling gates are gone",
		}, true
	}
	return Condition{Status: corev1.ConditionFalse, Reason: string(w.Reason), Message: cut(w.Sentence), Since: pod.CreatedAt}, true
}

func granted(grant map[string]int) string {
	var parts []string
	for _, database := range slices.Sorted(maps.Keys(grant)) {
		parts = append(parts, fmt.Sprintf("%d on %s", grant[database], database))
	}
	if len(parts) == 0 {
		return "no connections are needed"
	}
	return cut("connections reserved: " + strings.Join(parts, ", "))
}

func cut(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessage-len("…")], "") + "…"
}

// told is what a pod was told last.
type told struct {
	condition Condition
	at        time.Time
	failed    bool
}

// due returns what of wanted is to be written now, given what pods were told last,
// by UID: first to those that were told something else, then to those that wait
// and were told nothing, last to those that passed before anything was known of
// them.
func due(wanted []Write, last map[string]told, now time.Time) []Write {
	var out []Write
	rank := map[string]int{}
	for _, w := range wanted {
		before, known := last[w.UID]
		switch {
		case !known && w.Condition.Status == corev1.ConditionFalse:
			rank[w.UID] = 1
		case !known:
			rank[w.UID] = 2
		case before.failed && now.Sub(before.at) < again:
			continue
		case !before.failed && before.condition.Status == w.Condition.Status && before.condition.Reason == w.Condition.Reason &&
			(before.condition.Message == w.Condition.Message || now.Sub(before.at) < again):
			continue
		}
		out = append(out, w)
	}
	slices.SortStableFunc(out, func(a, b Write) int { return cmp.Compare(rank[a.UID], rank[b.UID]) })
	return out
}

// patch is a strategic merge patch of the pod's status: conditions are told apart
// by their type, and those of others stay. A uid that is not the pod's is refused,
// because a uid can't be changed. Without a time, and with nothing else new, it
// changes nothing and gives the pod no new version.
func (w Write) patch() []byte {
	condition := map[string]any{
		"type": Type, "status": w.Condition.Status, "reason": w.Condition.Reason, "message": w.Condition.Message,
	}
	if !w.Condition.Since.IsZero() {
		condition["lastTransitionTime"] = metav1.NewTime(w.Condition.Since)
	}
	text, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": w.UID},
		"status":   map[string]any{"conditions": []any{condition}},
	})
	if err != nil {
		panic(err) // nothing in here that JSON can't say
	}
	return text
}
