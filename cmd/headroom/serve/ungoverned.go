package serve

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/metrics/kube"
	"github.com/keda-headroom/headroom/scaler"
)

const (
	// strangerAge is how old a gated pod has to be to count as nobody's: the reading
	// that makes it a workload's may be on its way.
	strangerAge = 15 * time.Second
	// strangersNamed is how many of them the log names of each namespace.
	strangersNamed = 3
)

// strangers are pods that wait at the gate and that no plan speaks of: nobody would
// ever let them through.
type strangers struct {
	said map[string]bool // namespaces
}

// look returns how many there are in each namespace, and what there is to say: a
// line for each namespace that is new.
func (s *strangers) look(now time.Time, gated []kube.GatedPod, state *scaler.State) (count map[string]int, lines []string) {
	planned := map[string]bool{}
	for i := range state.Decisions {
		for _, reading := range state.Decisions[i].Snapshot.Fleets {
			fleet, _ := reading.Last()
			for _, p := range fleet.Pods {
				planned[p.UID] = true
			}
		}
	}
	names := map[string][]string{}
	for _, p := range gated {
		if !planned[p.UID] && !p.Terminating && !p.Finished && now.Sub(p.Created) >= strangerAge {
			names[p.ID.Namespace] = append(names[p.ID.Namespace], p.ID.Name)
		}
	}
	count = map[string]int{}
	said := map[string]bool{}
	for _, namespace := range slices.Sorted(maps.Keys(names)) {
		pods := names[namespace]
		count[namespace], said[namespace] = len(pods), true
		if s.said[namespace] {
			continue
		}
		text := strings.Join(pods[:min(len(pods), strangersNamed)], ", ")
		if more := len(pods) - strangersNamed; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		lines = append(lines, fmt.Sprintf("in namespace %s: %s", namespace, text))
	}
	s.said = said
	return count, lines
}
