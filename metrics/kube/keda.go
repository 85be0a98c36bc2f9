package kube

import (
	batchv1 "k8s.io/api/batch/v1"

	"github.com/keda-headroom/headroom/internal/kedaapi"
)

// scaledObjectOf keeps of a ScaledObject all that kedaapi knows, but for metadata
// that nobody asks for.
func scaledObjectOf(o kedaapi.ScaledObject) kedaapi.ScaledObject {
	o.ObjectMeta = aboutOf(o.ObjectMeta)
	return o
}

// scaledJobOf does the same for a ScaledJob, and keeps of its Jobs' template what
// decides about their number.
func scaledJobOf(j kedaapi.ScaledJob) kedaapi.ScaledJob {
	j.ObjectMeta = aboutOf(j.ObjectMeta)
	jobs := j.Spec.JobTargetRef
	j.Spec.JobTargetRef = batchv1.JobSpec{
		Parallelism: jobs.Parallelism, Completions: jobs.Completions, BackoffLimit: jobs.BackoffLimit,
		ActiveDeadlineSeconds: jobs.ActiveDeadlineSeconds, PodFailurePolicy: jobs.PodFailurePolicy,
		PodReplacementPolicy: jobs.PodReplacementPolicy, Template: templateOf(jobs.Template),
	}
	return j
}
