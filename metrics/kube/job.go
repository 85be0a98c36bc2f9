package kube

import (
	"math"
	"slices"
	"strconv"
	"time"
	"unique"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/metrics"
)

// scaledJobLabel is how KEDA finds the Jobs of a ScaledJob.
const scaledJobLabel = "scaledjob.keda.sh/name"

// job is what is kept of a Job.
type job struct {
	scaledJob string // that KEDA counts it for, "" for none
	finished  bool
	created   time.Time
}

func jobOf(j *batchv1.Job) job {
	return job{
		scaledJob: j.Labels[scaledJobLabel],
		created:   j.CreationTimestamp.UTC(),
		finished: slices.ContainsFunc(j.Status.Conditions, func(c batchv1.JobCondition) bool {
			return (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue
		}),
	}
}

// jobsByScaledJob indexes Jobs as KEDA lists them.
func jobsByScaledJob(object any) ([]string, error) {
	r := object.(*row[job])
	if r.value.scaledJob == "" {
		return nil, nil
	}
	return []string{r.namespace.Value() + "/" + r.value.scaledJob}, nil
}

// jobsOf counts Jobs as KEDA's executor does (pkg/scaling/executor/scale_jobs.go):
// all that are not finished run; one is pending until a pod of it is running or
// has succeeded, or has all the conditions that the ScaledJob asks for. pods
// returns those of a Job.
func jobsOf(o kedaapi.ScaledJob, all []*row[job], pods func(*row[job]) []*row[pod]) metrics.Jobs {
	strategy := o.Spec.ScalingStrategy
	out := metrics.Jobs{Strategy: metrics.JobsDefault, Disposable: kedaapi.Disposable(o.Spec.JobTargetRef.PodFailurePolicy)}
	switch asked := metrics.JobStrategy(strategy.Strategy); asked {
	case metrics.JobsAccurate, metrics.JobsEager:
		out.Strategy = asked
	case metrics.JobsCustom:
		share, err := strconv.ParseFloat(strategy.CustomScalingRunningJobPercentage, 64)
		if err != nil || math.IsNaN(share) || math.IsInf(share, 0) {
			break // KEDA goes on with its default
		}
		out.Strategy, out.RunningShare = asked, share
		if deduction := strategy.CustomScalingQueueLengthDeduction; deduction != nil {
			out.Deduction = int(*deduction)
		}
	case metrics.JobsDefault:
	}
	for _, j := range all {
		if j.value.created.After(out.Newest) {
			out.Newest = j.value.created
		}
		if j.value.finished {
			continue
		}
		out.Running++
		if !slices.ContainsFunc(pods(j), func(p *row[pod]) bool { return started(p.value, strategy.PendingPodConditions) }) {
			out.Pending++
		}
	}
	return out
}

// started reports whether a Job with this pod is not pending.
func started(p pod, conditions []string) bool {
	if len(conditions) == 0 {
		return p.phase == running || p.phase == succeeded
	}
	has := map[string]bool{}
	for _, wanted := range conditions {
		if slices.Contains(p.conditions, unique.Make(wanted)) {
			has[wanted] = true
		}
	}
	return len(has) == len(conditions) // a condition that is named twice is never met, as in KEDA
}
