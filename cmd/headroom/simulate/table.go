package simulate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/internal/columns"
)

// rows are the report as a person reads it: a name, one cell for each contender, and
// one for the bound where there is one.
func rows(r Report) [][]string {
	header := []string{""}
	for _, c := range r.Contenders {
		header = append(header, c.Contender)
	}
	if r.Bounds != nil {
		header = append(header, "planner", "bound")
	}
	out := [][]string{header}
	planner := ""
	row := func(name, bound string, cell func(c Contender) string) {
		line := []string{name}
		for _, c := range r.Contenders {
			line = append(line, cell(c))
		}
		if r.Bounds != nil {
			line = append(line, planner, bound)
		}
		planner = ""
		out = append(out, line)
	}
	row("messages done", "", func(c Contender) string {
		if c.Left > 0 {
			return fmt.Sprintf("%d of %d", c.Done, c.Messages)
		}
		return fmt.Sprint(c.Done)
	})
	if b := r.Bounds; b != nil {
		planner = percent(share(r.Planner.Kept, r.Trace.Messages))
		row("kept within "+span(r.ObjectiveSeconds), percent(b.KeptShare), func(c Contender) string { return percent(c.KeptShare) })
		planner = percent(share(r.Planner.Kept, b.Kept))
		row("of what could be kept", "100 %", func(c Contender) string { return percent(c.OfReachable) })
	}
	row("drain", "", func(c Contender) string { return span(c.DrainSeconds) })
	row("longest backlog", "", func(c Contender) string { return span(c.LongestBacklogSeconds) })
	row("age, median", "", func(c Contender) string { return span(c.Ages.P50) })
	row("age, 95 of 100", "", func(c Contender) string { return span(c.Ages.P95) })
	row("age, 99 of 100", "", func(c Contender) string { return span(c.Ages.P99) })
	row("age, most", "", func(c Contender) string { return span(c.Ages.Max) })
	row("given back by pods that ended", "", func(c Contender) string { return fmt.Sprint(c.Returned) })
	for i, d := range r.Contenders[0].Databases {
		row("peak connections, "+d.Database, "", func(c Contender) string {
			return fmt.Sprintf("%d of %d", c.Databases[i].Peak, c.Databases[i].Limit)
		})
		row("  refused: workers, others", "", func(c Contender) string {
			return fmt.Sprintf("%d, %d", c.Databases[i].RefusedWorkers, c.Databases[i].RefusedOthers)
		})
		row("  full for", "", func(c Contender) string { return span(c.Databases[i].FullSeconds) })
	}
	boundHours, boundPods := "", ""
	if b := r.Bounds; b != nil {
		boundHours, boundPods = fmt.Sprintf("≥ %.2f", b.PodHours), fmt.Sprintf("%d to %d", b.PeakPods, b.Pods)
	}
	if r.Planner != nil {
		planner = fmt.Sprintf("%.2f", r.Planner.PodHours)
	}
	row("pod hours", boundHours, func(c Contender) string { return fmt.Sprintf("%.2f", c.PodHours) })
	if r.Bounds != nil {
		row("  in units of the planner's", "", func(c Contender) string { return fmt.Sprintf("%.2f", c.RelativeToPlanner) })
		row("  in units of the bound", "1.00", func(c Contender) string { return fmt.Sprintf("%.2f", c.Relative) })
	}
	row("most pods", boundPods, func(c Contender) string {
		if c.OverBudget {
			return fmt.Sprintf("%d (over budget)", c.PeakPods)
		}
		return fmt.Sprint(c.PeakPods)
	})
	row("replica changes, turns", "", func(c Contender) string { return fmt.Sprintf("%d, %d", c.ReplicaChanges, c.Turns) })
	row("cost: autoscaler's calls", "", func(c Contender) string { return dollars(c.Dollars.Autoscaler) })
	row("cost: workers' calls", "", func(c Contender) string { return dollars(c.Dollars.Workers) })
	if r.Contenders[0].Dollars.Pods > 0 {
		row("cost: pods", "", func(c Contender) string { return dollars(c.Dollars.Pods) })
	}
	return out
}

func table(r Report) string {
	var b strings.Builder
	b.WriteString(summary(r) + "\n\n")
	lines := rows(r)
	right := make([]bool, len(lines[0]))
	for i := range right {
		right[i] = i > 0
	}
	b.WriteString(columns.Write(lines, right...))
	b.WriteString("\n")
	if text := reasons(r.Contenders[0]); text != "" {
		b.WriteString(text + "\n")
	}
	for _, note := range notes(r) {
		fmt.Fprintf(&b, "Note: %s.\n", note)
	}
	if r.Faster > 0 {
		fmt.Fprintf(&b, "Simulated %.0f times faster than real time.\n", r.Faster)
	}
	return b.String()
}

// summary says what was simulated.
func summary(r Report) string {
	return fmt.Sprintf("%s, mode %s: %d messages in %s from %s, %s service of %s on average, %d at once in a pod.",
		r.Workload, r.Mode, r.Trace.Messages, span(r.Trace.Seconds), r.Trace.Start.Format("2006-01-02 15:04"), r.Service, r.Service.Mean, r.Concurrency)
}

// notes are what one has to know to read the report.
func notes(r Report) []string {
	out := slices.Clone(r.Notes)
	if r.Bounds == nil {
		return append(out, "without an objective (--max-message-age, or maxMessageAge in the policy) there are no bounds")
	}
	out = append(out, "the bound is what nobody can beat who knows all that will come: of messages kept exact, of pod hours a lower bound; the planner is one who knows it and makes a plan")
	for _, c := range r.Contenders {
		if c.OverBudget {
			out = append(out, c.Contender+" had more pods than the databases carry beside their reserves, for which the bounds are not meant")
		}
	}
	return out
}

// reasons say what the target followed from, most of the time first.
func reasons(c Contender) string {
	total := 0.0
	for _, s := range c.LimitedSeconds {
		total += s
	}
	if total == 0 {
		return ""
	}
	keys := slices.SortedFunc(maps.Keys(c.LimitedSeconds), func(a, b string) int {
		if x, y := c.LimitedSeconds[a], c.LimitedSeconds[b]; x != y {
			if x > y {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	var parts []string
	for _, k := range keys {
		parts = append(parts, fmt.Sprintf("%s %s", k, percent(c.LimitedSeconds[k]/total)))
	}
	return "The target followed from: " + strings.Join(parts, ", ") + " of the time."
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// percent shows no more than there is: 100 % is all.
func percent(share float64) string {
	text := fmt.Sprintf("%.2f %%", 100*share)
	if share < 1 && text == "100.00 %" {
		return "99.99 %"
	}
	return text
}

func dollars(d float64) string {
	if d < 0.1 {
		return fmt.Sprintf("$%.4f", d)
	}
	return fmt.Sprintf("$%.2f", d)
}

// span writes seconds for a person.
func span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.2f s", seconds)
	case d < 10*time.Minute:
		return fmt.Sprintf("%.0f s", seconds)
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return fmt.Sprintf("%.1f days", seconds/86400)
}
