package replay

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/internal/columns"
	"github.com/keda-headroom/headroom/internal/replay"
)

// table renders a result for a person.
func table(r Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d decisions from %s to %s, made again. Before the arrow what was recorded, behind it the replay.\n\n",
		r.Decisions, r.From.UTC().Format("2006-01-02 15:04:05"), r.To.UTC().Format("2006-01-02 15:04:05 MST"))
	rows := [][]string{{"WORKLOAD", "POD HOURS", "MOST", "CHANGES", "LIMITED", "DIFFERENT", "LARGEST DIFFERENCE"}}
	for _, w := range r.Workloads {
		rows = append(rows, []string{
			w.ID.String(), fmt.Sprintf("%.2f → %.2f", w.Recorded.PodHours, w.Replayed.PodHours), arrow(w.Recorded.MaxTarget, w.Replayed.MaxTarget),
			arrow(w.Recorded.Changes, w.Replayed.Changes), fmt.Sprintf("%s → %s", span(w.Recorded.LimitedSeconds()), span(w.Replayed.LimitedSeconds())),
			fmt.Sprintf("%.1f %%", share(w.DifferentSeconds, w.Seconds)), largest(w),
		})
	}
	b.WriteString(columns.Write(rows, false, true, true, true, true, true))
	b.WriteString("\n")
	rows = [][]string{{"DATABASE", "MOST PROMISED", "OF"}}
	for _, d := range r.Databases {
		of := "unknown"
		if d.Limit > 0 {
			of = fmt.Sprintf("%d, %d of them reserved", d.Limit, d.Reserve)
		}
		rows = append(rows, []string{d.ID.String(), arrow(d.RecordedPeak, d.ReplayedPeak), of})
	}
	b.WriteString(columns.Write(rows, false, true))
	b.WriteString("\n")
	for _, w := range r.Workloads {
		if text := reasons(w); text != "" {
			fmt.Fprintf(&b, "%s: %s.\n", w.ID, text)
		}
	}
	notes(&b, r)
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "FAIL %s.\n", f)
	}
	return b.String()
}

func notes(b *strings.Builder, r Result) {
	note := func(format string, args ...any) { fmt.Fprintf(b, "Note: "+format+".\n", args...) }
	note("%s", r.OpenLoop)
	if r.LongestGapSeconds > 0 {
		note("nothing was recorded for up to %s, which counts nowhere", span(r.LongestGapSeconds))
	}
	for _, id := range r.Unrecorded {
		note("%s is in the policy, but not in the recording", id)
	}
	for _, id := range r.Ungoverned {
		note("%s is in the recording, but not in the policy: its connections are others' in the replay", id)
	}
	for _, d := range r.Damage {
		note("%s", d)
	}
}

func arrow(a, b int) string { return fmt.Sprintf("%d → %d", a, b) }

func largest(w replay.Workload) string {
	var parts []string
	for _, d := range []*replay.Difference{w.MostAdded, w.MostRemoved} {
		if d != nil {
			parts = append(parts, fmt.Sprintf("%s at %s (%s → %s)", arrow(d.Recorded, d.Replayed), d.At.UTC().Format("15:04:05"), d.RecordedReason, d.ReplayedReason))
		}
	}
	return strings.Join(parts, ", ")
}

// reasons say for how long each reason was the target's, where that changed.
func reasons(w replay.Workload) string {
	all := map[string]bool{}
	for _, s := range []map[string]float64{w.Recorded.Seconds, w.Replayed.Seconds} {
		for k := range s {
			all[k] = true
		}
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(all)) {
		before, after := w.Recorded.Seconds[k], w.Replayed.Seconds[k]
		if before != after {
			parts = append(parts, fmt.Sprintf("%s %s → %s", k, span(before), span(after)))
		}
	}
	return strings.Join(parts, ", ")
}

// span writes seconds for a person.
func span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	if d < time.Minute {
		return strconv.Itoa(int(d/time.Second)) + "s"
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}
