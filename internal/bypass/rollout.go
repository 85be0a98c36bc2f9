package bypass

import (
	"cmp"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/keda-headroom/headroom/internal/argoapi"
	"github.com/keda-headroom/headroom/policy"
)

// defaultProgressDeadline is how many seconds a rollout may stand still, of a
// Deployment and a Rollout that don't say.
const defaultProgressDeadline = 600

// rollout looks at how a new version gets past pods that hold the whole budget.
func (f *finder) rollout() {
	switch {
	case f.Deployment != nil:
		spec := f.Deployment.Spec
		if spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
			return // the old pods end first
		}
		var surge, unavailable *intstr.IntOrString
		if r := spec.Strategy.RollingUpdate; r != nil {
			surge, unavailable = r.MaxSurge, r.MaxUnavailable
		}
		f.swaps("spec.strategy.rollingUpdate", surge, unavailable)
		f.deadline(spec.ProgressDeadlineSeconds)
	case f.StatefulSet != nil:
		if f.StatefulSet.Spec.PodManagementPolicy != appsv1.ParallelPodManagement {
			f.add(OrderedReady, policy.SeverityWarning, f.runner(), "spec.podManagementPolicy",
				"with podManagementPolicy OrderedReady the StatefulSet stands still while one of its pods waits at the gate: it creates none after it, and takes none away above it",
				"set podManagementPolicy to Parallel; it can't be changed later: delete the StatefulSet with --cascade=orphan and create it again")
		}
	case f.Rollout != nil:
		if c := f.Rollout.Spec.Strategy.Canary; c != nil {
			f.swaps("spec.strategy.canary", c.MaxSurge, c.MaxUnavailable)
		}
		f.strategy()
		f.deadline(f.Rollout.Spec.ProgressDeadlineSeconds)
	}
}

// strategy looks at what is Argo's alone.
func (f *finder) strategy() {
	s := f.Rollout.Spec.Strategy
	switch {
	case s.BlueGreen != nil:
		f.add(BlueGreen, policy.SeverityError, f.runner(), "spec.strategy.blueGreen",
			"blueGreen keeps the whole old version running until the whole new one is ready, which a full budget never lets happen: Headroom would take the active pods away for preview pods, one by one",
			"use canary with maxSurge: 0, or mode: Target in the policy")
	case s.Canary != nil && s.Canary.TrafficRouting != nil && !s.Canary.DynamicStableScale:
		f.add(RolloutSwaps, policy.SeverityWarning, f.runner(), "spec.strategy.canary.trafficRouting",
			"with trafficRouting the stable pods stay at full scale until the end, so that with a full budget Headroom takes a stable pod away for each canary pod that it lets through (a swap), and the stable version gets a new pod that waits",
			"set dynamicStableScale: true, or leave trafficRouting out: a queue has no traffic to route")
	}
}

// swaps looks at whether a rollout may end old pods by itself. Where it may not,
// and old pods hold the whole budget, new ones get in only by taking their place.
func (f *finder) swaps(path string, surge, unavailable *intstr.IntOrString) {
	most, known := f.most()
	if !known || most < 1 {
		return
	}
	stuck := 0 // up to so many replicas no pod may be missing
	for n := 1; n <= most && stuck == n-1; n++ {
		if maxUnavailable(surge, unavailable, n) == 0 {
			stuck = n
		}
	}
	if stuck == 0 {
		return
	}
	said := "25%"
	if unavailable != nil {
		said = unavailable.String()
	}
	severity, when := policy.SeverityWarning, fmt.Sprintf("maxUnavailable (%s) lets no pod of %d be missing", said, most)
	if stuck < most {
		severity, when = policy.SeverityNote, fmt.Sprintf("while there are fewer than %d replicas, maxUnavailable (%s) rounds down to 0", stuck+1, said)
	}
	f.add(RolloutSwaps, severity, f.runner(), path+".maxUnavailable",
		when+": with a full budget the new version's pods wait for old ones to end, and the rollout ends none before. Headroom then takes an old pod away for each new one that it lets through (a swap)",
		"set maxSurge to 0 and maxUnavailable to 25%, which is 1 at least then: an old pod ends first, and a new one gets its connections")
}

// maxUnavailable returns how many pods of n a rollout may take away at a time, as
// the controllers of Deployments and Rollouts reckon it.
func maxUnavailable(surge, unavailable *intstr.IntOrString, n int) int {
	quarter := intstr.FromString("25%")
	more, err := intstr.GetScaledValueFromIntOrPercent(cmp.Or(surge, &quarter), n, true)
	if err != nil {
		return 1 // no API server takes it
	}
	less, err := intstr.GetScaledValueFromIntOrPercent(cmp.Or(unavailable, &quarter), n, false)
	if err != nil {
		return 1
	}
	if more == 0 && less == 0 {
		return 1 // else it could not move at all
	}
	return less
}

// deadline looks at whether a rollout is given up while its pods may still be
// starting.
func (f *finder) deadline(seconds *int32) {
	deadline := time.Duration(defaultProgressDeadline) * time.Second
	if seconds != nil {
		deadline = time.Duration(*seconds) * time.Second
	}
	if ready := f.Workload.ReadyTimeout; deadline < ready {
		f.add(RolloutDeadline, policy.SeverityWarning, f.runner(), "spec.progressDeadlineSeconds",
			fmt.Sprintf("a rollout counts as failed after %s without progress, but a pod waits at the gate for as long as the budget is full, and may take %s more to become ready (readyTimeout in the policy)", deadline, ready),
			fmt.Sprintf("set progressDeadlineSeconds to %d or more", int(ready/time.Second)))
	}
}

// RolloutSurge returns how many pods a rollout of an Argo Rollout adds to a number
// of replicas.
func RolloutSurge(s argoapi.Strategy, replicas int) int {
	switch {
	case s.BlueGreen != nil:
		if n := s.BlueGreen.PreviewReplicaCount; n != nil && int(*n) > replicas {
			return int(*n)
		}
		return replicas // previewReplicaCount holds until the promotion; all of them come before the old ones go
	case s.Canary != nil && s.Canary.TrafficRouting != nil && !s.Canary.DynamicStableScale:
		return replicas
	}
	var surge *intstr.IntOrString
	if s.Canary != nil {
		surge = s.Canary.MaxSurge
	}
	return scaledSurge(surge, replicas)
}
