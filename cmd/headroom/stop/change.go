package stop

import (
	"slices"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/scaler/policies"
)

// change returns the names that are stopped once a workload is stopped or resumed,
// where these are, among all workloads of the same ConfigMap; and whether that is a
// change. Names that mean nobody are left to their author.
func change(stopped []string, all []metrics.ID, name string, resume bool) ([]string, bool) {
	everybody := slices.Contains(stopped, policies.StopAll)
	is := everybody || slices.Contains(stopped, name)
	switch {
	case is != resume:
		return stopped, false
	case !resume:
		return append(slices.Clone(stopped), name), true
	case everybody: // all but this one, from now on by their names
		stopped = nil
		for _, id := range all {
			stopped = append(stopped, id.Name)
		}
	}
	return slices.DeleteFunc(slices.Clone(stopped), func(n string) bool { return n == name }), true
}
