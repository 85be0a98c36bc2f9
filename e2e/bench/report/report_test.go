package report_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keda-headroom/headroom/e2e/bench/report"
	"github.com/keda-headroom/headroom/e2e/bench/result"
	"github.com/keda-headroom/headroom/e2e/contender"
	"github.com/keda-headroom/headroom/e2e/scenario"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// invented is a run that nobody measured.
func invented(s, c, parameters string, seed int, change func(*result.Result)) result.Result {
	r := result.Result{
		Scenario: s, Contender: c, Parameters: parameters, Seed: seed,
		Started:  time.Date(2030, 1, 2, 3, seed, 0, 0, time.UTC),
		Versions: result.Versions{Headroom: "v0", Kubernetes: "v1", KEDA: "2", PostgreSQL: "15", Go: "go1"},
		Machine:  result.Machine{Cores: 2, MemoryGiB: 7.6, Lanes: 5, Load: 2.5, Busy: 0.75, Late: 0.125},
		Usable:   97, PeakUsed: 87, Drained: true, DrainSeconds: 100 + float64(seed), FixedDrainSeconds: 100,
		Messages: 1800, Handled: 1800, PodSeconds: 1400, PeakPods: 14, Turns: 1, OtherAttempts: 200,
		AutoscalerConnections: 1, AutoscalerAWSCalls: 20, Seconds: 120,
		Samples: result.Series{EverySeconds: 1},
	}
	for i := range 240 {
		r.Samples.Used = append(r.Samples.Used, min(17+i*2, 87))
		r.Samples.Usable = append(r.Samples.Usable, 97)
		r.Samples.Pods = append(r.Samples.Pods, min(1+i, 14))
		r.Samples.Target = append(r.Samples.Target, min(1+4*(i/15), 14))
		r.Samples.Refused = append(r.Samples.Refused, 0)
	}
	if change != nil {
		change(&r)
	}
	return r
}

func TestReport(t *testing.T) {
	t.Parallel()
	scenarios := []scenario.Scenario{
		{Name: "burst", Title: "A burst", Shows: "Many messages."},
		{Name: "leak", Title: "A leak", Shows: "Not played."},
		{Name: "spike", Title: "A spike", Shows: "Others want more."},
	}
	contenders := []contender.Contender{
		{Name: "stock", Title: "plain", About: "Knows nothing."},
		{Name: "formula", Title: "formula", About: "Knows a little.", Grid: map[string][]string{"reserve": {"5", "10"}}},
		{Name: "headroom-target", Title: "Headroom", About: "Knows more."},
		{Name: "headroom-gate", Title: "Gate", About: "Not played."},
		{Name: "fixed", Title: "fixed", About: "Knows nothing, and need not."},
	}
	results := []result.Result{
		invented("burst", "stock", "", 1, func(r *result.Result) {
			r.Refused, r.Logged = result.Refusals{Workers: 4000, Other: 40}, result.Refusals{Workers: 4001, Other: 40}
			r.OtherFailed, r.SecondsFull, r.PeakUsed, r.AutoscalerConnections = 40, 60.25, 97, 0
			r.Findings = []string{"Something is doubtful."}
		}),
		invented("burst", "stock", "", 2, func(r *result.Result) {
			r.Refused.Workers, r.Drained, r.Handled, r.DrainSeconds = 5000, false, 1700, 240
		}),
		invented("burst", "formula", "reserve 5", 1, func(r *result.Result) { r.Refused.Workers = 7 }),
		invented("burst", "formula", "reserve 10", 1, func(r *result.Result) { r.Refused.Workers, r.DrainSeconds = 3, 130 }),
		invented("burst", "headroom-target", "", 1, nil),
		invented("burst", "headroom-target", "", 2, nil),
		invented("burst", "headroom-target", "", 3, func(r *result.Result) { r.DrainSeconds = 119 }),
		invented("burst", "fixed", "", 1, func(r *result.Result) { r.DrainSeconds = 100 }),
		invented("spike", "stock", "", 1, func(r *result.Result) { r.Findings = []string{"So it is for all.", "This one alone."} }),
		invented("spike", "headroom-target", "", 1, func(r *result.Result) {
			r.Refused.Other, r.OtherFailed, r.FixedDrainSeconds = 12, 12, 0
			r.Findings = []string{"So it is for all."}
		}),
	}
	dir := t.TempDir()
	if err := report.Write(dir, results, scenarios, contenders); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{report.Page, "burst.svg"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Errorf("%s (-want +got); with -update it is written again\n%s", name, d)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 3 {
		t.Errorf("wrote %v, want a page and the charts of two scenarios", files)
	}
}

// A chart is XML, small, and says what the panels are.
func TestChart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := scenario.Scenario{Name: "burst", Title: "A burst", Shows: "Many messages."}
	c := contender.Contender{Name: "stock", Title: "plain <&>", About: "Knows nothing."}
	var results []result.Result
	var contenders []contender.Contender
	for _, name := range []string{"stock", "static", "formula", "headroom-target", "headroom-gate", "fixed"} {
		c.Name = name
		contenders = append(contenders, c)
		results = append(results, invented("burst", name, "", 1, func(r *result.Result) {
			for i := range r.Samples.Used { // as jagged as it gets
				r.Samples.Used[i], r.Samples.Pods[i] = 40+i*37%57, i*13%60
			}
		}))
	}
	if err := report.Write(dir, results, []scenario.Scenario{s}, contenders); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(filepath.Join(dir, "burst.svg"))
	if err != nil {
		t.Fatal(err)
	}
	if len(svg) > 60<<10 {
		t.Errorf("the chart has %d bytes, want at most %d", len(svg), 60<<10)
	}
	var text strings.Builder
	decoder := xml.NewDecoder(strings.NewReader(string(svg)))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if data, is := token.(xml.CharData); is {
			text.Write(data)
		}
	}
	for _, want := range []string{"plain <&>: 0 refused, full 0 s, drained in 101 s", "seconds"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the chart does not say %q", want)
		}
	}
}

func TestNothingToReport(t *testing.T) {
	t.Parallel()
	if err := report.Write(t.TempDir(), nil, nil, nil); err == nil {
		t.Error("there was nothing to report, and no error")
	}
}
