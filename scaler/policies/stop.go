package policies

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// StopAll among the names of stopped workloads stands for all of an object.
const StopAll = "*"

// CodeStopped is the code of a workload that is to be stopped and that its object
// doesn't describe (warning).
const CodeStopped policy.Code = "Stopped"

// object is what carries inputs that are stopped together.
type object struct{ origin, namespace, name string }

// stop marks the workloads of set that the objects which describe them have
// stopped, and warns of names that mean none. Whoever describes a workload stops
// it, and nobody else: what an object claims and doesn't govern is not its own.
func stop(set policy.Set, verdicts []*verdict) []policy.Problem {
	governed := map[object][]metrics.ID{}
	var asked []*verdict // one of each object
	seen := map[object]bool{}
	for _, v := range verdicts {
		of := v.object()
		if v.State != Conflict || v.LastGood {
			governed[of] = append(governed[of], v.inForce.workloads...)
		}
		if len(v.Stopped) > 0 && !seen[of] {
			seen[of] = true
			asked = append(asked, v)
		}
	}
	stopped := map[metrics.ID]bool{}
	var problems []policy.Problem
	for _, v := range asked {
		own := governed[v.object()]
		for _, name := range v.Stopped {
			id := metrics.ID{Namespace: v.Source.Namespace, Name: name}
			switch {
			case name == StopAll && len(own) > 0:
				for _, id := range own {
					stopped[id] = true
				}
			case slices.Contains(own, id):
				stopped[id] = true
			default:
				problems = append(problems, policy.Problem{
					Severity: policy.SeverityWarning, Code: CodeStopped, Where: v.Source.Where, Value: fmt.Sprintf("%q", name),
					Rule: "is to be stopped: expected " + oneOf(own),
				})
			}
		}
	}
	for i := range set.Workloads {
		set.Workloads[i].Stopped = stopped[set.Workloads[i].ID]
	}
	return problems
}

func (v *verdict) object() object {
	return object{v.at.origin, v.Source.Namespace, cmp.Or(v.Source.Name, v.Name)}
}

// oneOf names the workloads that could be meant.
func oneOf(own []metrics.ID) string {
	if len(own) == 0 {
		return "a workload that this object describes, which are none"
	}
	var names []string
	for _, id := range own {
		names = append(names, id.Name)
	}
	slices.Sort(names)
	if more := len(names) - 10; more > 0 {
		names = append(names[:10], fmt.Sprintf("%d more", more))
	}
	return "a workload that this object describes (" + strings.Join(names, ", ") + ")"
}
