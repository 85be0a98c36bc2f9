package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is the outcome of the demo. All of it was measured.
type Report struct {
	// BoundSeconds is how long the fixed number of replicas that just fits took.
	BoundSeconds float64 `json:"boundSeconds"`
	Plain        Outcome `json:"plain"`
	Headroom     Outcome `json:"headroom"`
	Bound        Outcome `json:"bound"`
	Setup        Setup   `json:"setup"`
	// Findings say what is wrong, in sentences; the demo has failed where there
	// are any.
	Findings []string `json:"findings"`
	Seconds  float64  `json:"seconds"` // that the demo took, builds included
}

// Setup is what all runs had in common.
type Setup struct {
	Site              string `json:"site"`
	Usable            int    `json:"usable"`
	Reserve           int    `json:"reserve"`
	Others            int    `json:"others"` // before the spike
	Budget            int    `json:"budget"`
	ConnectionsPerPod int    `json:"connectionsPerPod"`
	BoundReplicas     int    `json:"boundReplicas"`
	Messages          int    `json:"messages"`
	// Faster is what KEDA's and Kubernetes' intervals were divided by.
	Faster int `json:"faster"`
}

// Outcome is how one run went.
type Outcome struct {
	// WorkerRefusals and OtherRefusals are connections refused with SQLSTATE
	// 53300, counted by the clients, one for each attempt to log in.
	WorkerRefusals int `json:"workerRefusals"`
	OtherRefusals  int `json:"otherRefusals"`
	// RefusalsBeforeSpike are both together until the other application's spike
	// began, RefusalsWithSpike all later ones.
	RefusalsBeforeSpike int `json:"refusalsBeforeSpike"`
	RefusalsWithSpike   int `json:"refusalsWithSpike"`
	// Server is what the server's own log says; null where it can't be read.
	Server *ServerRefusals `json:"server"`
	// SecondsFull is for how long no slot was free for an ordinary role.
	SecondsFull float64 `json:"secondsFull"`
	PeakUsed    int     `json:"peakUsed"`
	Usable      int     `json:"usable"`
	// DrainSeconds is from the first message until the last was deleted; where
	// Drained is false, until the run was cut off.
	DrainSeconds float64 `json:"drainSeconds"`
	Drained      bool    `json:"drained"`

	// Handled is how many different messages workers wrote into the database.
	Handled  int `json:"handled"`
	PeakPods int `json:"peakPods"`
	// Failures are all other errors of clients, Failure the first one.
	Failures int    `json:"failures"`
	Failure  string `json:"failure,omitempty"`
	// Unwatched counts the samples of the connections that failed.
	Unwatched int `json:"unwatched"`
}

// ServerRefusals are refused connections in the server's log, by role.
type ServerRefusals struct {
	Worker int `json:"worker"`
	Other  int `json:"other"`
	Rest   int `json:"rest"` // Headroom's own, and the demo's
}

func serverRefusals(byRole map[string]int, worker, other string) *ServerRefusals {
	out := &ServerRefusals{Worker: byRole[worker], Other: byRole[other]}
	for role, n := range byRole {
		if role != worker && role != other {
			out.Rest += n
		}
	}
	return out
}

// outcome gathers what a run's parties counted.
func (c *cast) outcome(took time.Duration, drained bool, occupied reading, spikeAt time.Time) Outcome {
	workers, web := c.workers.now(), c.web.now()
	_, _, peakPods := c.fleet.counts()
	before := c.workers.before(spikeAt) + c.web.before(spikeAt)
	out := Outcome{
		WorkerRefusals: workers.refusals, OtherRefusals: web.refusals,
		RefusalsBeforeSpike: before, RefusalsWithSpike: workers.refusals + web.refusals - before,
		SecondsFull: seconds(occupied.full), PeakUsed: occupied.peak.total(), Usable: c.site.usable,
		DrainSeconds: seconds(took), Drained: drained, PeakPods: peakPods,
		Failures: workers.failures + web.failures, Failure: workers.failure, Unwatched: occupied.failures,
	}
	if out.Failure == "" {
		out.Failure = web.failure
	}
	return out
}

// seconds keeps tenths.
func seconds(d time.Duration) float64 { return d.Round(100 * time.Millisecond).Seconds() }

// judge says what is wrong under Headroom. The bound and the plain run can't be
// wrong: they are what it is compared with.
func (r *Report) judge() {
	r.Findings = []string{}
	find := func(format string, args ...any) { r.Findings = append(r.Findings, fmt.Sprintf(format, args...)) }
	if n := r.Headroom.RefusalsBeforeSpike; n > 0 {
		find("under Headroom %s refused before the other application's spike began", plural(n, "connection was", "connections were"))
	}
	if !r.Headroom.Drained {
		find("under Headroom the burst did not drain within %.0f s", r.Headroom.DrainSeconds)
	}
	if !r.Bound.Drained {
		find("with a fixed number of replicas the burst did not drain within %.0f s, so there is nothing to compare with", r.Bound.DrainSeconds)
	}
	if n := r.Headroom.Handled; r.Headroom.Drained && n != r.Setup.Messages {
		find("under Headroom %d of %d messages were handled", n, r.Setup.Messages)
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// writeJSON writes the report as one line.
func (r *Report) writeJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// writeTable writes the report for a person.
func (r *Report) writeTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\nThe same burst of %d messages, three times, on %s.\n", r.Setup.Messages, r.Setup.Site)
	fmt.Fprintf(&b, "%d connections are usable − %d reserve − %d others = %d for workers: %d replicas of %d fit.\n",
		r.Setup.Usable, r.Setup.Reserve, r.Setup.Others, r.Setup.Budget, r.Setup.BoundReplicas, r.Setup.ConnectionsPerPod)
	if r.Setup.Faster > 1 {
		fmt.Fprintf(&b, "KEDA's and Kubernetes' intervals run %d times faster, in every run alike.\n", r.Setup.Faster)
	}
	b.WriteByte('\n')

	runs := []Outcome{r.Plain, r.Headroom, r.Bound}
	t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	row := func(label string, cell func(Outcome) string) {
		fmt.Fprint(t, label)
		for _, o := range runs {
			fmt.Fprint(t, "\t", cell(o))
		}
		fmt.Fprintln(t)
	}
	fmt.Fprintf(t, "\tqueue depth alone\tHeadroom\t%d replicas, fixed\n", r.Setup.BoundReplicas)
	fmt.Fprintf(t, "\t(aws-sqs-queue)\t(mode Target)\t(the bound)\n")
	row("connections refused to workers", func(o Outcome) string { return fmt.Sprint(o.WorkerRefusals) })
	row("  to the other application", func(o Outcome) string { return fmt.Sprint(o.OtherRefusals) })
	row("  both, before its spike began", func(o Outcome) string { return fmt.Sprint(o.RefusalsBeforeSpike) })
	row("  both, with its spike and after", func(o Outcome) string { return fmt.Sprint(o.RefusalsWithSpike) })
	if r.Plain.Server != nil {
		row("  in PostgreSQL's log: workers, other", func(o Outcome) string {
			return fmt.Sprintf("%d, %d%s", o.Server.Worker, o.Server.Other, o.difference())
		})
	}
	row("seconds full", func(o Outcome) string { return fmt.Sprintf("%.1f", o.SecondsFull) })
	row("peak used, of usable", func(o Outcome) string { return fmt.Sprintf("%d of %d", o.PeakUsed, o.Usable) })
	row("most pods", func(o Outcome) string { return fmt.Sprint(o.PeakPods) })
	row("drain, in seconds", func(o Outcome) string {
		if !o.Drained {
			return fmt.Sprintf("cut off at %.1f", o.DrainSeconds)
		}
		return fmt.Sprintf("%.1f%s", o.DrainSeconds, o.ratio(r.BoundSeconds))
	})
	if err := t.Flush(); err != nil {
		return err
	}
	b.WriteByte('\n')
	if r.Plain.Server == nil {
		b.WriteString("The log of this server can't be read here, so refusals are as the clients counted them.\n")
	}
	for _, run := range []struct {
		name string
		out  Outcome
	}{{"On queue depth alone", r.Plain}, {"Under Headroom", r.Headroom}, {"With fixed replicas", r.Bound}} {
		if run.out.Failures > 0 {
			fmt.Fprintf(&b, "%s clients met %s besides; the first: %s\n", run.name, plural(run.out.Failures, "other error", "other errors"), run.out.Failure)
		}
		if n := run.out.Unwatched; n > 0 {
			fmt.Fprintf(&b, "%s %s of the connections failed.\n", run.name, plural(n, "sample", "samples"))
		}
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "FAILED: %s.\n", f)
	}
	if len(r.Findings) == 0 {
		fmt.Fprintf(&b, "Under Headroom nobody was refused until the other application's spike; %s with it.\n",
			plural(r.Headroom.RefusalsWithSpike, "refusal came", "refusals came"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// difference says where log and clients differ, which only a client that was
// killed can make them.
func (o Outcome) difference() string {
	if o.Server.Worker == o.WorkerRefusals && o.Server.Other == o.OtherRefusals {
		return " (the same)"
	}
	return fmt.Sprintf(" (%+d, %+d)", o.Server.Worker-o.WorkerRefusals, o.Server.Other-o.OtherRefusals)
}

func (o Outcome) ratio(boundSeconds float64) string {
	if boundSeconds <= 0 || o.DrainSeconds == boundSeconds {
		return ""
	}
	return fmt.Sprintf(" (%.2f × the bound)", o.DrainSeconds/boundSeconds)
}
