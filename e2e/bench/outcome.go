package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/keda-headroom/headroom/e2e/bench/result"
	"github.com/keda-headroom/headroom/e2e/scenario"
)

// seriesStep is the resolution of the samples that are kept.
const seriesStep = time.Second

// outcome is the lane's result. Its processes have ended, its database has not.
func (l *lane) outcome(ctx context.Context) (result.Result, error) {
	if l.end.IsZero() {
		return result.Result{}, fmt.Errorf("lane %s was not played to its end", l.lane.Namespace)
	}
	samples := l.watcher.between(l.begin, l.end)
	refused := l.workers.between(l.begin, l.end)
	drained := l.watcher.drained()
	if drained.After(l.end) {
		drained = time.Time{} // cut off before
	}
	r := result.Result{
		Scenario: l.scenario.Name, Contender: l.variant.Name, Parameters: l.variant.Label(), Seed: l.seed, Started: l.begin.UTC(),
		Refused:       result.Refusals{Workers: len(refused), Other: len(l.web.between(l.begin, l.end))},
		OtherAttempts: l.after.others.Attempts - l.before.others.Attempts,
		OtherFailed:   l.after.others.Refused + l.after.others.Failures - l.before.others.Refused - l.before.others.Failures,
		SecondsFull:   round(result.Full(samples)),
		PeakUsed:      result.Peak(samples, func(s result.Sample) int { return s.Used }).Used,
		Usable:        l.scenario.Database.Usable(),
		Seconds:       round(l.end.Sub(l.begin)), Drained: !drained.IsZero(), Messages: l.scenario.Messages(),
		PeakPods:              result.Peak(samples, func(s result.Sample) int { return s.Pods }).Pods,
		AutoscalerConnections: result.Peak(samples, func(s result.Sample) int { return s.Autoscaler }).Autoscaler,
		AutoscalerAWSCalls:    l.after.awsCalls - l.before.awsCalls,
		Turns:                 l.replicas.turns(l.begin, l.end),
		Samples:               result.NewSeries(samples, append(refused, l.web.between(l.begin, l.end)...), seriesStep),
		Machine:               result.Machine{Late: round(result.LateBy(samples))},
	}
	until := l.end
	if r.Drained {
		until = drained
	}
	r.DrainSeconds = round(until.Sub(l.firstMessage))
	r.PodSeconds = round(result.PodTime(samples, l.firstMessage.Sub(l.begin), until.Sub(l.begin)))
	var err error
	if r.Handled, err = l.database.handled(ctx); err != nil {
		return result.Result{}, err
	}
	total, err := l.readLog(&r)
	if err != nil {
		return result.Result{}, err
	}
	r.Findings = append(r.Findings, l.findings(r, total)...)
	return r, nil
}

// readLog counts refusals in the server's log: from the beginning of the timeline
// to its end in r, and all there ever were.
func (l *lane) readLog(r *result.Result) (total result.Refusals, err error) {
	entries, _, err := l.database.server.ReadLog(0)
	if err != nil {
		return total, err
	}
	for _, e := range entries {
		if !e.Refused() {
			continue
		}
		count(&total, e.User)
		if !e.Time.Before(l.begin) && !e.Time.After(l.end) {
			count(&r.Logged, e.User)
		}
	}
	r.Refused.Autoscaler = r.Logged.Autoscaler // nobody else counts them
	return total, nil
}

func count(into *result.Refusals, role string) {
	switch role {
	case workerRole:
		into.Workers++
	case otherRole:
		into.Other++
	default:
		into.Autoscaler++
	}
}

// findings say what is doubtful.
func (l *lane) findings(r result.Result, logged result.Refusals) []string {
	counted := result.Refusals{Workers: l.workers.total(), Other: l.web.total()}
	out := result.Reconcile(counted, logged)
	if r.Drained && r.Handled != r.Messages {
		out = append(out, fmt.Sprintf("%d of %d messages were handled.", r.Handled, r.Messages))
	}
	if n, first := l.workers.otherErrors(); n > 0 && !l.breaks() {
		out = append(out, fmt.Sprintf("Workers met %d other errors; the first: %s", n, first))
	}
	if err := l.failed.all(); err != nil {
		out = append(out, fmt.Sprintf("Not everything of the run went as it should: %v", err))
	}
	return out
}

// breaks says whether the timeline breaks connections on purpose.
func (l *lane) breaks() bool {
	for _, step := range l.scenario.Timeline {
		if step.Do == scenario.Failover || step.Do == scenario.LoseNode {
			return true
		}
	}
	return false
}

// round keeps hundredths of seconds.
func round(d time.Duration) float64 { return d.Round(10 * time.Millisecond).Seconds() }
