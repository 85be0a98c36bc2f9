package demo

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func example() Report {
	return Report{
		BoundSeconds: 40,
		Plain: Outcome{
			WorkerRefusals: 900, OtherRefusals: 80, RefusalsBeforeSpike: 700, RefusalsWithSpike: 280,
			Server: &ServerRefusals{Worker: 901, Other: 80, Rest: 1}, SecondsFull: 31.2, PeakUsed: 57, Usable: 57,
			DrainSeconds: 60, Handled: 1400, PeakPods: 100, Failures: 2, Failure: "broken pipe",
		},
		Headroom: Outcome{
			OtherRefusals: 12, RefusalsWithSpike: 12, Server: &ServerRefusals{Other: 12}, SecondsFull: 1.5, PeakUsed: 57, Usable: 57,
			DrainSeconds: 46, Drained: true, Handled: 1500, PeakPods: 8,
		},
		Bound: Outcome{Server: &ServerRefusals{}, PeakUsed: 50, Usable: 57, DrainSeconds: 40, Drained: true, Handled: 1500, PeakPods: 7},
		Setup: Setup{Site: "a server", Usable: 57, Reserve: 5, Others: 15, Budget: 37, ConnectionsPerPod: 5, BoundReplicas: 7, Messages: 1500, Faster: 5},
	}
}

// The JSON has the keys that its users were promised, on one line, whatever the
// values.
func TestJSON(t *testing.T) {
	var out bytes.Buffer
	empty := Report{}
	empty.judge()
	if err := empty.writeJSON(&out); err != nil {
		t.Fatal(err)
	}
	if strings.Count(out.String(), "\n") != 1 || !strings.HasSuffix(out.String(), "\n") {
		t.Errorf("expected one line, found %q", out.String())
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if _, ok := got["boundSeconds"].(float64); !ok {
		t.Errorf("boundSeconds is %v", got["boundSeconds"])
	}
	if _, ok := got["findings"].([]any); !ok {
		t.Errorf("findings is %v", got["findings"])
	}
	for _, run := range []string{"plain", "headroom", "bound"} {
		outcome, _ := got[run].(map[string]any)
		for _, key := range []string{
			"workerRefusals", "otherRefusals", "secondsFull", "peakUsed", "usable", "drainSeconds", "drained",
			"refusalsBeforeSpike", "refusalsWithSpike", "server",
		} {
			if _, ok := outcome[key]; !ok {
				t.Errorf("%s.%s is missing", run, key)
			}
		}
	}
}

func TestTable(t *testing.T) {
	r := example()
	r.judge()
	if len(r.Findings) != 0 {
		t.Fatalf("findings: %v", r.Findings)
	}
	var out bytes.Buffer
	if err := r.writeTable(&out); err != nil {
		t.Fatal(err)
	}
	table := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"57 connections are usable − 5 reserve − 15 others = 37 for workers: 7 replicas of 5 fit.",
		"run 5 times faster",
		"connections refused to workers 900 0 0",
		"to the other application 80 12 0",
		"both, before its spike began 700 0 0",
		"both, with its spike and after 280 12 0",
		"workers, other 901, 80 (+1, +0) 0, 12 (the same) 0, 0 (the same)",
		"seconds full 31.2 1.5 0.0",
		"peak used, of usable 57 of 57 57 of 57 50 of 57",
		"drain, in seconds cut off at 60.0 46.0 (1.15 × the bound) 40.0",
		"On queue depth alone clients met 2 other errors besides; the first: broken pipe",
		"nobody was refused until the other application's spike; 12 refusals came with it.",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("the table does not say %q:\n%s", want, out.String())
		}
	}
}

func TestTableWithoutLog(t *testing.T) {
	r := example()
	r.Plain.Server, r.Headroom.Server, r.Bound.Server = nil, nil, nil
	r.judge()
	var out bytes.Buffer
	if err := r.writeTable(&out); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); strings.Contains(s, "PostgreSQL's log") || !strings.Contains(s, "can't be read here") {
		t.Errorf("expected a word on the log that can't be read:\n%s", s)
	}
}

func TestFindings(t *testing.T) {
	for want, change := range map[string]func(*Report){
		"1 connection was refused before": func(r *Report) { r.Headroom.RefusalsBeforeSpike = 1 },
		"did not drain within 46 s":       func(r *Report) { r.Headroom.Drained = false },
		"nothing to compare with":         func(r *Report) { r.Bound.Drained = false },
		"1499 of 1500 messages":           func(r *Report) { r.Headroom.Handled = 1499 },
	} {
		r := example()
		change(&r)
		r.judge()
		if len(r.Findings) != 1 || !strings.Contains(r.Findings[0], want) {
			t.Errorf("findings %q, want one that says %q", r.Findings, want)
		}
		var out bytes.Buffer
		if err := r.writeTable(&out); err != nil {
			t.Fatal(err)
		}
		if s := out.String(); !strings.Contains(s, "FAILED: ") || strings.Contains(s, "nobody was refused") {
			t.Errorf("the table hides the finding:\n%s", s)
		}
	}
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out)
	p.say("first")
	p.status(status{run: plain, elapsed: 12 * time.Second, backlog: 345, spec: 8, pods: 9, ready: 7, used: 114, usable: 57, workers: 3, other: 4, spiking: true})
	p.status(status{run: bound})
	p.done()
	want := "first\n" +
		"plain     12s  backlog  345  replicas   8 (9 pods, 7 ready)  [####################] 114/57  refused 3+4  the other application spikes\n" +
		"bound      0s  backlog    0  replicas   0 (0 pods, 0 ready)  [....................] 0/0  refused 0+0\n"
	if got := out.String(); got != want {
		t.Errorf("progress\n%s, want\n%s", got, want)
	}

	out.Reset()
	p = &progress{out: &out, terminal: true}
	p.status(status{run: plain})
	p.status(status{run: plain, backlog: 1})
	p.say("next")
	p.done()
	if got := out.String(); strings.Count(got, "\r") != 2 || !strings.HasSuffix(got, "\x1b[K\nnext\n") {
		t.Errorf("on a terminal %q", got)
	}
}
