package bypass

import (
	"fmt"

	"github.com/keda-headroom/headroom/internal/kedaapi"
)

// annotations looks at those that make KEDA follow no target, or half of it.
func (f *finder) annotations() {
	at := func(key string) string { return "metadata.annotations[" + key + "]" }
	set := f.ScaledObject.Annotations
	n, held := set[kedaapi.PausedReplicas]
	switch {
	case held && n != "0": // none are no way past
		f.warns(PausedAt, at(kedaapi.PausedReplicas),
			fmt.Sprintf("KEDA holds %s replicas whatever the databases carry", n), "remove the annotation, or set it to 0")
	case !held && kedaapi.On(set, kedaapi.Paused):
		f.warns(PausedAt, at(kedaapi.Paused),
			"KEDA has deleted the HPA, and the present replicas stay whatever the databases carry", "remove the annotation")
	}
	if kedaapi.On(set, kedaapi.PausedScaleIn) {
		f.warns(PausedScaleIn, at(kedaapi.PausedScaleIn), "a fall of the target is not followed: the replicas above it stay", "remove the annotation")
	}
	if kedaapi.On(set, kedaapi.PausedScaleOut) {
		f.warns(PausedScaleOut, at(kedaapi.PausedScaleOut), "a rise of the target is not followed: nothing is exceeded, but the queue waits", "remove the annotation")
	}
	if kedaapi.On(set, kedaapi.ForceActivation) {
		f.warns(Forced, at(kedaapi.ForceActivation),
			"KEDA starts the first replicas whatever Headroom says of free connections, and never goes back to none", "remove the annotation")
	}
	if set[kedaapi.HPAOwnershipValidated] == "false" {
		f.warns(HPAOwnership, at(kedaapi.HPAOwnershipValidated),
			"KEDA copies the annotation to its HPA, and then refuses no second one on the same target", "remove the annotation")
	}
}

// bounds looks at numbers of replicas that no target gets under.
func (f *finder) bounds() {
	least := f.ScaledObject.Min()
	if f.Carries != nil && least > 0 && least > *f.Carries {
		f.warns(MinReplicas, "spec.minReplicaCount",
			fmt.Sprintf("the HPA keeps %d replicas whatever the target is, and the databases carry %d", least, *f.Carries),
			fmt.Sprintf("set minReplicaCount to %d or less, and minReplicas in the policy for a guaranteed share", *f.Carries))
	}
	if f.ScaledObject.Spec.IdleReplicaCount != nil && least > 1 {
		f.warns(IdleReplicas, "spec.idleReplicaCount",
			fmt.Sprintf("KEDA goes from idle to %d replicas in one jump, with no look at the target, also where the databases carry fewer by then", least),
			"leave idleReplicaCount out and set minReplicaCount to 0 or 1")
	}
}

// fallback looks at what KEDA asks for when nobody answers.
func (f *finder) fallback() {
	fallback := f.ScaledObject.Spec.Fallback
	if fallback == nil {
		return // the HPA holds what is there
	}
	switch fallback.Behavior {
	case kedaapi.FallbackCurrentIfLower, kedaapi.FallbackCurrent:
		return
	case "", kedaapi.FallbackStatic:
		if int(fallback.Replicas) <= max(f.ScaledObject.Min(), 1) {
			return
		}
		f.warns(Fallback, "spec.fallback.behavior",
			fmt.Sprintf("when Headroom does not answer, KEDA asks for %d replicas whatever the databases carry", fallback.Replicas), safeFallback)
	case kedaapi.FallbackCurrentIfHigher:
		f.warns(Fallback, "spec.fallback.behavior",
			fmt.Sprintf("when Headroom does not answer, KEDA asks for the present replicas, and for %d where there are fewer, whatever the databases carry", fallback.Replicas), safeFallback)
	default:
		f.warns(Fallback, "spec.fallback.behavior",
			fmt.Sprintf("when Headroom does not answer, fallback behavior %s asks for a number that nothing bounds", fallback.Behavior), safeFallback)
	}
}

const safeFallback = "set fallback.behavior to currentReplicasIfLower, which never adds a replica"

// restored looks at what is left behind.
func (f *finder) restored() {
	if f.ScaledObject.Spec.Advanced != nil && f.ScaledObject.Spec.Advanced.RestoreToOriginalReplicaCount {
		f.warns(RestoredReplicas, "spec.advanced.restoreToOriginalReplicaCount",
			"when the ScaledObject is deleted, KEDA sets the number of replicas that was there before it, whatever the databases carry",
			"set it to false")
	}
}
