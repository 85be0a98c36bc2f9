package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/keda-headroom/headroom/internal/policyfiles"
	"github.com/keda-headroom/headroom/internal/redact"
	"github.com/keda-headroom/headroom/internal/replay"
	"github.com/keda-headroom/headroom/internal/timespan"
)

// ErrFindings is returned where a threshold is passed. It has been written; it has
// nothing to add.
var ErrFindings = errors.New("")

// Result is what is written as JSON.
type Result struct {
	replay.Report
	// OpenLoop says what a replay is not.
	OpenLoop string `json:"openLoop"`
	// Findings say which thresholds are passed.
	Findings []string `json:"findings"`
}

// openLoop is said with every result.
const openLoop = "the readings are those that were taken under the recorded policy: a replay shows what would have been decided, not what would have come of it"

// Run replays, or redacts, and writes what came of it. It returns [ErrFindings] where
// a threshold is passed.
func Run(ctx context.Context, o Options) error {
	from, to, err := timespan.Parse(o.From, o.To)
	if err != nil {
		return err
	}
	// Reading a recording makes much that is soon forgotten, and little that stays.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	if o.Redact != "" {
		n, err := redact.NewWords(nil).Recording(o.Recording, o.Redact, from, to)
		if err != nil {
			return fmt.Errorf("--redact: %w", err)
		}
		fmt.Fprintf(o.Out, "%d decisions written to %s, with every name replaced.\n", n, o.Redact)
		return nil
	}
	again := replay.Options{Dir: o.Recording, AsRecorded: len(o.Policies) == 0, From: from, To: to, Step: o.Step}
	if !again.AsRecorded {
		if again.Policy, err = policyfiles.Load(o.Policies); err != nil {
			return err
		}
	}
	report, err := replay.Run(ctx, again)
	if err != nil {
		return err
	}
	r := Result{Report: report, OpenLoop: openLoop, Findings: o.findings(report)}
	text := []byte(table(r))
	if o.Output == "json" {
		if text, err = json.MarshalIndent(r, "", "  "); err != nil {
			return err
		}
		text = append(text, '\n')
	}
	if _, err := o.Out.Write(text); err != nil {
		return err
	}
	if len(r.Findings) > 0 {
		return ErrFindings
	}
	return nil
}

// findings are the thresholds that are passed.
func (o Options) findings(r replay.Report) []string {
	found := []string{}
	passed := func(is, most float64) bool { return most >= 0 && is > most+1e-9 }
	for _, w := range r.Workloads {
		if more := share(w.Replayed.PodHours-w.Recorded.PodHours, w.Recorded.PodHours); passed(more, o.MorePodHours) {
			found = append(found, fmt.Sprintf("%s: %.1f %% more pod hours, at most %g %% allowed", w.ID, more, o.MorePodHours))
		}
		if different := share(w.DifferentSeconds, w.Seconds); passed(different, o.Different) {
			found = append(found, fmt.Sprintf("%s: another target %.1f %% of the time, at most %g %% allowed", w.ID, different, o.Different))
		}
		if limited := share(w.Replayed.LimitedSeconds(), w.Seconds); passed(limited, o.Limited) {
			found = append(found, fmt.Sprintf("%s: limited by connections %.1f %% of the time, at most %g %% allowed", w.ID, limited, o.Limited))
		}
	}
	for _, d := range r.Databases {
		if passed(float64(d.ReplayedPeak), float64(o.PeakConnections)) {
			found = append(found, fmt.Sprintf("%s: %d connections promised, at most %d allowed", d.ID, d.ReplayedPeak, o.PeakConnections))
		}
	}
	return found
}

// share is a part of a whole in percent; of nothing, anything is a hundred.
func share(part, whole float64) float64 {
	switch {
	case whole > 0:
		return 100 * part / whole
	case part > 0:
		return 100
	}
	return 0
}
