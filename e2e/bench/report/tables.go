package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/e2e/bench/result"
	"github.com/keda-headroom/headroom/e2e/scenario"
)

// scenario writes the section of one scenario.
func (p *page) scenario(s scenario.Scenario) {
	rows := p.rows(s)
	if len(rows) == 0 {
		return
	}
	p.say("## <a id=\"%s\"></a>%s\n\n%s ([`%s`](../../e2e/scenarios/%s.yaml))\n\n", s.Name, s.Title, s.Shows, s.Name, s.Name)
	p.say("| | refused: workers | other application | seconds full | peak used | drain, s | pod-seconds | turns | autoscaler |\n")
	p.say("|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		title := r.title
		if r.parameters != "" {
			title += " (" + r.parameters + ")"
		}
		p.say("| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", title,
			whole(r.of(func(r result.Result) float64 { return float64(r.Refused.Workers) })), r.other(),
			tenths(r.of(func(r result.Result) float64 { return r.SecondsFull })), r.peak(), r.drainCell(),
			whole(r.of(func(r result.Result) float64 { return r.PodSeconds })),
			whole(r.of(func(r result.Result) float64 { return float64(r.Turns) })), r.autoscaler())
	}
	p.say("\n![Connections used and pods over time, by contender](%s.svg)\n\n%s\n\n", s.Name, key)
	p.findings(rows)
	p.say("\n")
}

// findings writes what is doubtful; what is so of every contender, once.
func (p *page) findings(rows []row) {
	in := map[string]int{}
	for _, r := range rows {
		for _, f := range findings(r.runs) {
			in[f]++
		}
	}
	for i, r := range rows {
		for _, f := range findings(r.runs) {
			switch {
			case len(rows) == 1 || in[f] < len(rows):
				p.say("- %s: %s\n", r.title, f)
			case i == 0:
				p.say("- %s\n", f)
			}
		}
	}
}

// findings are those of all runs, each once.
func findings(runs []result.Result) []string {
	var out []string
	for _, r := range runs {
		for _, f := range r.Findings {
			if len(runs) > 1 {
				f = fmt.Sprintf("%s (seed %d)", f, r.Seed)
			}
			if !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out
}

func (s summary) other() string {
	cell := whole(s.of(func(r result.Result) float64 { return float64(r.Refused.Other) }))
	share := s.of(func(r result.Result) float64 {
		if r.OtherAttempts == 0 {
			return 0
		}
		return 100 * float64(r.OtherFailed) / float64(r.OtherAttempts)
	})
	if share.worst == 0 {
		return cell
	}
	return fmt.Sprintf("%s (%s %%)", cell, tenths(share))
}

func (s summary) peak() string {
	peak := s.of(func(r result.Result) float64 { return float64(r.PeakUsed) })
	return fmt.Sprintf("%s of %d", whole(peak), s.runs[0].Usable)
}

func (s summary) drainCell() string {
	if !s.drained() {
		left := s.of(func(r result.Result) float64 { return float64(r.Messages - r.Handled) })
		return fmt.Sprintf("not within %.0f: %s of %d messages left", s.drain().worst, whole(left), s.runs[0].Messages)
	}
	cell := tenths(s.drain())
	if s.compared() && s.contender != "fixed" {
		cell += " (" + times(s.ratio()) + ")"
	}
	return cell
}

func (s summary) autoscaler() string {
	connections := s.of(func(r result.Result) float64 { return float64(r.AutoscalerConnections) })
	calls := s.of(func(r result.Result) float64 {
		if r.Seconds <= 0 {
			return 0
		}
		return float64(r.AutoscalerAWSCalls) * 60 / r.Seconds
	})
	return fmt.Sprintf("%s, %s/min", whole(connections), whole(calls))
}

// sweeps writes what the parameters of contenders came to, where several were
// tried.
func (p *page) sweeps() {
	begun := false
	for _, c := range p.contenders {
		if len(c.Grid) == 0 {
			continue
		}
		for _, s := range p.scenarios {
			variants := summarize(p.results, s.Name)[c.Name]
			if len(variants) < 2 {
				continue
			}
			if !begun {
				p.say("## Sweeps\n\nThe parameters of contenders that have any, from the best to the worst. The tables above show the best of each scenario.\n\n")
				begun = true
			}
			p.say("### %s: %s\n\n| parameters | refused | seconds full | drain, s |\n|---|---|---|---|\n", c.Title, s.Title)
			for _, v := range variants {
				p.say("| %s | %s | %s | %s |\n", v.parameters, whole(v.refused()),
					tenths(v.of(func(r result.Result) float64 { return r.SecondsFull })), v.drainCell())
			}
			p.say("\n")
		}
	}
}

// whole, tenths and times write a spread: the median, and the worst where it
// is another.
func whole(s spread) string  { return write(s, "%.0f") }
func tenths(s spread) string { return write(s, "%.1f") }
func times(s spread) string  { return write(s, "%.2f ×") }

func write(s spread, format string) string {
	parts := slices.Compact([]string{fmt.Sprintf(format, s.median), fmt.Sprintf(format, s.worst)})
	return strings.Join(parts, " / ")
}
