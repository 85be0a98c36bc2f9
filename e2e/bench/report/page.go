package report

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/e2e/bench/result"
	"github.com/keda-headroom/headroom/e2e/contender"
	"github.com/keda-headroom/headroom/e2e/scenario"
)

// page is a report that is being written.
type page struct {
	results    []result.Result
	scenarios  []scenario.Scenario
	contenders []contender.Contender
	out        bytes.Buffer
}

func (p *page) say(format string, args ...any) { fmt.Fprintf(&p.out, format, args...) }

// row is a contender's best variant in a scenario, and its title.
type row struct {
	title string
	summary
}

// rows are the contenders that were run in a scenario, in their order.
func (p *page) rows(s scenario.Scenario) []row {
	byContender := summarize(p.results, s.Name)
	var out []row
	for _, c := range p.contenders {
		if variants := byContender[c.Name]; len(variants) > 0 {
			out = append(out, row{c.Title, variants[0]})
		}
	}
	return out
}

// panels are what a scenario's chart shows.
func (p *page) panels(s scenario.Scenario) []panel {
	var out []panel
	for _, r := range p.rows(s) {
		out = append(out, panel{r.title, r.middle()})
	}
	return out
}

func (p *page) markdown() []byte {
	p.out.Reset()
	p.say("# Benchmarks\n\n")
	p.say("Each scenario is played for every contender: a real Kubernetes control plane and KEDA at their real intervals, a real PostgreSQL for each contender, worker processes with real connection pools, and a local SQS. The contenders of a scenario run side by side in one cluster, at the same time, each in a namespace of its own. `make bench-cluster` plays all of it again and writes this page, its charts and [%s](%s).\n\n", Results, Results)
	p.setting()
	p.overview()
	p.say("## How to read it\n\n")
	p.say("- **Refused**: connections that PostgreSQL refused because it was full (SQLSTATE 53300), as the clients counted them, and reconciled with the server's log. **Other application** is an application on the same database that has nothing to do with the queues; in brackets the share of its attempts to connect that failed.\n")
	p.say("- **Drain**: from the first message until the last was deleted; in brackets relative to fixed replicas, which run in the same minute on the same machine and are there before the burst.\n")
	p.say("- **Pod-seconds** are counted until the drain. **Turns** are changes of direction of `spec.replicas`.\n")
	p.say("- **Autoscaler**: the connections that it holds itself, and its requests to SQS in a minute.\n")
	p.say("- Of several runs the median is shown, and the worst after a slash.\n\n")
	p.say("## Contenders\n\n")
	for _, c := range p.contenders {
		if slices.ContainsFunc(p.results, func(r result.Result) bool { return r.Contender == c.Name }) {
			p.say("- **%s** ([`%s`](../../e2e/contenders/%s.yaml)): %s\n", c.Title, c.Name, c.Name, c.About)
		}
	}
	p.say("\n")
	for _, s := range p.scenarios {
		p.scenario(s)
	}
	p.sweeps()
	return p.out.Bytes()
}

// setting says when, with what and on what was measured.
func (p *page) setting() {
	var versions, machines []string
	var first, last time.Time
	load, busy, late := 0.0, 0.0, 0.0
	add := func(list []string, text string) []string {
		if slices.Contains(list, text) {
			return list
		}
		return append(list, text)
	}
	for _, r := range p.results {
		v, m := r.Versions, r.Machine
		versions = add(versions, fmt.Sprintf("Headroom %s, Kubernetes %s, KEDA %s, PostgreSQL %s, Go %s", v.Headroom, v.Kubernetes, v.KEDA, v.PostgreSQL, v.Go))
		machines = add(machines, fmt.Sprintf("%d cores, %.0f GiB", m.Cores, m.MemoryGiB))
		if first.IsZero() || r.Started.Before(first) {
			first = r.Started
		}
		if r.Started.After(last) {
			last = r.Started
		}
		load, busy, late = max(load, m.Load), max(busy, m.Busy), max(late, m.Late)
	}
	const day, minute = "2006-01-02 15:04", "15:04"
	when := first.UTC().Format(day)
	if first.UTC().Truncate(24 * time.Hour).Equal(last.UTC().Truncate(24 * time.Hour)) {
		when += " to " + last.UTC().Format(minute)
	} else {
		when += " to " + last.UTC().Format(day)
	}
	p.say("Measured %s UTC, with %s, on %s. Highest load average of a minute: %.1f; processors busy at most %.0f %% of a run; one sample in a hundred late by at most %.2f s.\n\n",
		when, strings.Join(versions, "; and "), strings.Join(machines, "; and "), load, 100*busy, late)
}

// overview is one table of all scenarios.
func (p *page) overview() {
	var names, titles []string
	for _, c := range p.contenders {
		if slices.ContainsFunc(p.results, func(r result.Result) bool { return r.Contender == c.Name }) {
			names, titles = append(names, c.Name), append(titles, c.Title)
		}
	}
	p.say("## Overview\n\nRefused connections, workers' and the other application's together, and the drain relative to fixed replicas.\n\n")
	p.say("| scenario | %s |\n|---|%s\n", strings.Join(titles, " | "), strings.Repeat("---|", len(titles)))
	for _, s := range p.scenarios {
		byContender := summarize(p.results, s.Name)
		if len(byContender) == 0 {
			continue
		}
		cells := make([]string, len(names))
		for i, name := range names {
			cells[i] = "–"
			if variants := byContender[name]; len(variants) > 0 {
				cells[i] = brief(variants[0])
			}
		}
		p.say("| [%s](#%s) | %s |\n", s.Title, s.Name, strings.Join(cells, " | "))
	}
	p.say("\n")
}

// brief is a cell of the overview.
func brief(s summary) string {
	cell := whole(s.refused()) + " refused"
	switch {
	case !s.drained():
		return cell + ", not drained"
	case !s.compared() || s.contender == "fixed":
		return cell
	}
	return cell + ", " + times(s.ratio())
}
