package policy

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keda-headroom/headroom/internal/kedasim"
	"github.com/keda-headroom/headroom/metrics"
)

var jobStrategies = []metrics.JobStrategy{"", metrics.JobsDefault, metrics.JobsCustom, metrics.JobsAccurate, metrics.JobsEager, "unheard-of"}

// TestJobsAreCreatedUpToTheTarget tells KEDA's own arithmetic what Headroom says.
// It creates what is missing, whatever the strategy, and never more. Eager creates
// fewer where its own bound says so, and accurate while Jobs are pending. Nor are
// there more Jobs than the target where some have started or ended since Headroom
// looked: KEDA looks last.
func TestJobsAreCreatedUpToTheTarget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keda := kedasim.ScaledJob{
			Strategy:        string(rapid.SampledFrom(jobStrategies).Draw(t, "strategy")),
			Deduction:       rapid.IntRange(-3, 10).Draw(t, "deduction"),
			RunningShare:    rapid.SampledFrom([]float64{0, 0.3333, 0.5, 1, 2.5, -1}).Draw(t, "runningShare"),
			MinReplicaCount: rapid.IntRange(0, 3).Draw(t, "minReplicaCount"),
			MaxReplicaCount: rapid.IntRange(5, 40).Draw(t, "maxReplicaCount"),
		}
		target := rapid.IntRange(0, keda.MaxReplicaCount).Draw(t, "target")
		jobs := metrics.Jobs{
			Strategy: metrics.JobStrategy(keda.Strategy), Deduction: keda.Deduction, RunningShare: keda.RunningShare,
			Running: rapid.IntRange(keda.MinReplicaCount, max(keda.MinReplicaCount, target)+5).Draw(t, "running"),
		}
		jobs.Pending = rapid.IntRange(0, jobs.Running).Draw(t, "pending")
		want := max(0, target-jobs.Running)

		created := keda.Creates(encodeJobs(target, keda.MinReplicaCount, jobs), target > jobs.Running, jobs.Running, jobs.Pending)
		if created > want {
			t.Fatalf("KEDA creates %d Jobs beside %d, the target is %d", created, jobs.Running, target)
		}
		bounded := keda.Strategy == "eager" && keda.MaxReplicaCount-(jobs.Running-keda.MinReplicaCount)-jobs.Pending < want ||
			keda.Strategy == "custom" && encodeJobs(target, keda.MinReplicaCount, jobs) > float64(keda.MaxReplicaCount)
		if keda.Strategy == "accurate" {
			want = max(0, want-jobs.Pending)
		}
		if created < want && !bounded {
			t.Fatalf("KEDA creates %d Jobs beside %d, the target is %d", created, jobs.Running, target)
		}

		if keda.Strategy == "custom" && (jobs.RunningShare < 0 || jobs.RunningShare > 1) {
			return // takes off more for a Job than the Job
		}
		running := rapid.IntRange(keda.MinReplicaCount, jobs.Running).Draw(t, "running when KEDA looks")
		pending := rapid.IntRange(0, min(jobs.Pending, running)).Draw(t, "pending then")
		created = keda.Creates(encodeJobs(target, keda.MinReplicaCount, jobs), target > jobs.Running, running, pending)
		if created > max(0, target-running) {
			t.Fatalf("KEDA creates %d Jobs beside %d that are left of %d, the target is %d", created, running, jobs.Running, target)
		}
	})
}

// TestAJobThatStartsIsNotCreatedAgain: Headroom saw 5 of 6 Jobs, one of them pending,
// which runs when KEDA looks.
func TestAJobThatStartsIsNotCreatedAgain(t *testing.T) {
	for _, strategy := range jobStrategies {
		keda := kedasim.ScaledJob{Strategy: string(strategy), MaxReplicaCount: 40, RunningShare: 0.5}
		jobs := metrics.Jobs{Strategy: strategy, RunningShare: 0.5, Running: 5, Pending: 1}
		if created := keda.Creates(encodeJobs(6, 0, jobs), true, 5, 0); created != 1 {
			t.Errorf("%q: KEDA creates %d Jobs beside 5, the target is 6", strategy, created)
		}
	}
}

// TestNoJobIsCreatedWhereNoneIsMissing: KEDA's cache does not have some of the Jobs
// yet that Headroom has seen.
func TestNoJobIsCreatedWhereNoneIsMissing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		jobs := metrics.Jobs{Strategy: rapid.SampledFrom(jobStrategies).Draw(t, "strategy"), RunningShare: 0.5, Running: rapid.IntRange(1, 20).Draw(t, "running")}
		keda := kedasim.ScaledJob{Strategy: string(jobs.Strategy), MaxReplicaCount: 40, RunningShare: 0.5}
		target := rapid.IntRange(0, jobs.Running).Draw(t, "target")
		seen := rapid.IntRange(0, jobs.Running).Draw(t, "in KEDA's cache")
		if created := keda.Creates(encodeJobs(target, 0, jobs), true, seen, 0); created != 0 {
			t.Fatalf("KEDA creates %d Jobs beside %d, the target is %d", created, jobs.Running, target)
		}
	})
}

// TestOfAScaledJobKEDAHearsWhatItCreates goes through a whole decision.
func TestOfAScaledJobKEDAHearsWhatItCreates(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		jobs   metrics.Jobs
		mode   Mode
		asked  int
		value  float64
		active bool
	}{
		{metrics.Jobs{Running: 2}, Target, 5, 5, true},
		{metrics.Jobs{Running: 2, Strategy: metrics.JobsEager}, Target, 5, 3, true},
		{metrics.Jobs{Running: 2, Pending: 1, Strategy: metrics.JobsAccurate}, Target, 5, 3, true},
		{metrics.Jobs{Running: 2, Strategy: metrics.JobsCustom, Deduction: 1, RunningShare: 0.5}, Target, 5, 5, true},
		{metrics.Jobs{Running: 7, Strategy: metrics.JobsEager}, Target, 5, 0, false},
		{metrics.Jobs{Running: 2, Newest: now.Add(-JobsSettle)}, Target, 5, 5, true},
		{metrics.Jobs{Running: 2, Newest: now.Add(1 - JobsSettle)}, Target, 5, 0, true}, // more may come
		{metrics.Jobs{Running: 2, Newest: now.Add(time.Second)}, Target, 5, 0, true},
		{metrics.Jobs{Running: 2, Newest: now.Add(time.Hour)}, Target, 5, 5, true}, // a clock that is wrong
		{metrics.Jobs{Running: 7}, Target, 5, 0, false},
		{metrics.Jobs{Running: 2}, Observe, 5, 0, false},
		{metrics.Jobs{Running: 2, Strategy: metrics.JobsEager}, Observe, 5, 0, false},
	} {
		f := &fleet{
			Workload: Workload{Mode: test.mode},
			state:    metrics.Fleet{SpecReplicas: test.jobs.Running, StatusReplicas: test.jobs.Running, MaxReplicas: 100, Jobs: &test.jobs},
			known:    true, hi: 100, ceiling: 50,
			settling: settling(now, test.jobs),
			demand:   DemandPlan{Known: true, Backlog: test.asked, Raw: test.asked, Smoothed: test.asked},
		}
		p := f.decide([]Step{{Demand, test.asked, test.asked, ""}}, "", nil, nil)
		if p.Value != test.value || p.Active != test.active {
			t.Errorf("%s with %+v: KEDA hears %v and %t, want %v and %t", test.mode, test.jobs, p.Value, p.Active, test.value, test.active)
		}
	}
}
