package scaler

import (
	"context"
	"log/slog"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// said is what the log has last said of a workload.
type said struct {
	mode    policy.Mode
	target  int
	reason  policy.Reason
	failing bool // the sentence tells an age and changes all the time
}

// LogChanges writes one line at info for every changed target, until ctx ends. A
// value that can no longer be told is a line at warn, its return one at info. A new
// reason for the same target is a line at debug.
//
// It follows the states by itself: a log that is written slowly skips states, and
// makes nobody wait.
func LogChanges(ctx context.Context, state func() *State, log *slog.Logger) {
	last := map[metrics.ID]said{}
	for {
		current := state()
		if current.Planned() {
			last = logChanges(ctx, current, last, log)
		}
		select {
		case <-ctx.Done():
			return
		case <-current.Next():
		}
	}
}

func logChanges(ctx context.Context, state *State, last map[metrics.ID]said, log *slog.Logger) map[metrics.ID]said {
	now := make(map[metrics.ID]said, len(last))
	for _, d := range state.Decisions {
		for _, w := range d.Plan.Workloads {
			is := said{mode: w.Mode, target: w.Target, reason: w.Reason, failing: w.Failure != ""}
			now[w.ID] = is
			was, known := last[w.ID]
			if known && was == is {
				continue
			}
			attributes := []slog.Attr{slog.String("workload", w.ID.String()), slog.String("mode", string(w.Mode))}
			if known {
				attributes = append(attributes, slog.Int("from", was.target))
			}
			attributes = append(attributes, slog.Int("to", w.Target), slog.String("reason", string(w.Reason)), slog.String("sentence", w.Sentence))
			if w.Binding != "" {
				attributes = append(attributes, slog.String("binding", w.Binding))
			}
			switch {
			case is.failing && !was.failing:
				log.LogAttrs(ctx, slog.LevelWarn, "no value for KEDA", append(attributes, slog.String("failure", w.Failure))...)
			case !known:
				log.LogAttrs(ctx, slog.LevelInfo, "workload governed", attributes...)
			case is.target != was.target, is.mode != was.mode:
				log.LogAttrs(ctx, slog.LevelInfo, "target changed", attributes...)
			case was.failing && !is.failing:
				log.LogAttrs(ctx, slog.LevelInfo, "a value for KEDA again", attributes...)
			default:
				log.LogAttrs(ctx, slog.LevelDebug, "reason changed", attributes...)
			}
		}
	}
	for id := range last {
		if _, ok := now[id]; !ok {
			log.LogAttrs(ctx, slog.LevelInfo, "workload no longer governed", slog.String("workload", id.String()))
		}
	}
	return now
}
