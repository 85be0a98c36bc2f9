package kube

import "github.com/keda-headroom/headroom/internal/kedaapi"

// bounds are those within which KEDA moves the replicas of a ScaledObject that has
// so many now: its own, narrowed by its annotations. Whoever is paused keeps what
// there is, so that others on the same database do not wait for it to go.
//
// The most is 1 at least, since 0 stands for KEDA's default.
func bounds(o kedaapi.ScaledObject, replicas int) (least, most int) {
	least, most = max(o.Min(), 0), max(o.Max(), 0)
	_, replicasGiven := o.Annotations[kedaapi.PausedReplicas]
	if replicasGiven || kedaapi.On(o.Annotations, kedaapi.Paused) {
		return replicas, max(replicas, 1)
	}
	if kedaapi.On(o.Annotations, kedaapi.ForceActivation) {
		least = max(least, 1)
	}
	if kedaapi.On(o.Annotations, kedaapi.PausedScaleIn) {
		least = max(least, replicas)
	}
	if kedaapi.On(o.Annotations, kedaapi.PausedScaleOut) {
		most = min(most, max(replicas, 1))
	}
	return least, most
}
