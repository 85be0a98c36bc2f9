package policy

import (
	"math"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// encode returns what KEDA is told, so that the HPA comes down to target where
// its tolerance would keep more.
//
// The HPA ignores a fall from s replicas (status.replicas) while the metric is at
// least (1−t)·s. The largest value that it acts on is just under that, one
// thousandth being the smallest step a metric has:
//
//	v* = min(target, (⌈1000·s·(1−t)⌉ − 1) / 1000)
//
// With s = 10, t = 0.1 and a target of 9 that is 8.999, and the HPA goes to 9.
// Source: Kubernetes pkg/controller/podautoscaler/replica_calculator.go,
// GetExternalPerPodMetricReplicas.
func encode(target, status, toleranceMilli int) float64 {
	if target >= status || target <= 0 {
		return float64(target)
	}
	// s·(1000 − 1000·t) is exactly 1000·s·(1−t): no rounding gets in.
	acts := status*(1000-min(max(toleranceMilli, 0), 1000)) - 1
	return float64(max(0, min(target*1000, acts))) / 1000
}

// encodeJobs returns what KEDA is told of a ScaledJob, so that it creates
// target − running Jobs, and none where that many run. least is minReplicaCount:
// KEDA creates up to it without a look at the value, and counts above it.
//
// With v the value, r the running Jobs above least and p the pending ones, KEDA
// creates at most v, and
//
//	default   v − r
//	custom    v − deduction − ⌊r·share⌋
//	accurate  v − p
//	eager     v
//
// It counts r and p itself, a moment later: Jobs may have ended since, and pending
// ones be running. So nothing is added for those that are pending with accurate,
// which then waits for them: what is added for one that starts in that moment would
// be created beside it.
//
// Nor is it told a number where it has none to create, so that it takes two who
// don't see the newest Jobs yet for one to be created twice.
//
// Source: KEDA pkg/scaling/executor/scale_jobs.go, GetEffectiveMaxScale.
func encodeJobs(target, least int, jobs metrics.Jobs) float64 {
	create := target - jobs.Running
	if create <= 0 {
		return 0
	}
	switch jobs.Strategy {
	case metrics.JobsCustom:
		above := max(0, jobs.Running-max(0, least))
		return float64(create) + math.Min(math.Max(0, float64(jobs.Deduction)+math.Trunc(float64(above)*jobs.RunningShare)), maxReplicas)
	case metrics.JobsAccurate, metrics.JobsEager:
		return float64(create)
	case metrics.JobsDefault:
	}
	return float64(max(0, target-max(0, least)))
}

// JobsSettle is how long nobody is told to create Jobs after some were. KEDA counts
// the Jobs of its own cache, where the last ones turn up a moment after it created
// them, or when a watch that has ended begins again, which takes client-go a second
// or two. It polls again at once where creating them took longer than its
// pollingInterval, or where it begins to look at the ScaledJob anew.
const JobsSettle = 5 * time.Second

// settling reports whether Jobs are being created, or were a moment ago. A clock
// that is further off than that says nothing.
func settling(now time.Time, jobs metrics.Jobs) bool {
	return !jobs.Newest.IsZero() && now.Sub(jobs.Newest).Abs() < JobsSettle
}
