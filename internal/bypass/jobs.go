package bypass

import (
	"fmt"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
)

// jobs looks at what makes more pods of a ScaledJob than the target says.
func (f *finder) jobs() {
	spec := f.ScaledJob.Spec
	if spec.ScalingStrategy.Strategy == "custom" {
		share, err := strconv.ParseFloat(spec.ScalingStrategy.CustomScalingRunningJobPercentage, 64)
		if err == nil && !(share >= 0 && share <= 1) { // KEDA takes default where it can't read it
			f.warns(JobStrategy, "spec.scalingStrategy.customScalingRunningJobPercentage",
				fmt.Sprintf("KEDA takes off %v for each Job that runs when it creates more, a moment after Headroom counted them: a Job that ends in between makes room for others than the one", share),
				"set a number from 0 to 1, or strategy to default")
		}
	}
	for i, t := range spec.Triggers {
		if Asks(t) && t.Type == "external-push" {
			f.warns(JobPush, fmt.Sprintf("spec.triggers[%d].type", i),
				"KEDA does nothing for a ScaledJob with what is pushed, and version 2.21 can start the stream twice: its operator then panics, and scales nothing until it is back",
				"set type to external, with which KEDA creates the same Jobs")
		}
	}
	if s := f.ScaledJob.RolloutStrategy(); s != "gradual" {
		f.warns(JobRollout, "spec.rollout.strategy",
			"with each change of the ScaledJob KEDA deletes its running Jobs and creates new ones at once: both hold connections until the old pods have ended",
			"set rollout.strategy to gradual, which lets running Jobs end by themselves and counts them")
	}
	if p := spec.JobTargetRef.Parallelism; p != nil && *p > 1 {
		f.warns(JobParallelism, "spec.jobTargetRef.parallelism",
			fmt.Sprintf("each Job runs %d pods at once, where the target counts one", *p),
			"set parallelism to 1, or multiply connectionsPerPod in the policy by it")
	}
	// Kubernetes' own default is Failed where there is a podFailurePolicy.
	if r := spec.JobTargetRef.PodReplacementPolicy; (r == nil && spec.JobTargetRef.PodFailurePolicy == nil) || (r != nil && *r != batchv1.Failed) {
		f.warns(JobPodReplacement, "spec.jobTargetRef.podReplacementPolicy",
			"a pod that is evicted or deleted is replaced while it still ends, and both hold connections",
			"set podReplacementPolicy to Failed")
	}
	if least := f.ScaledJob.Min(); f.Carries != nil && least > *f.Carries {
		f.warns(MinReplicas, "spec.minReplicaCount",
			fmt.Sprintf("KEDA keeps %d Jobs whatever the target is, and the databases carry %d", least, *f.Carries),
			fmt.Sprintf("set minReplicaCount to %d or less", *f.Carries))
	}
}
