package recording_test

import (
	"testing"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/recording"
)

// Samples are the records of every step, but for the ledger: of each workload and
// database they have it once, as it was in the first sample with it, though the group
// gains a workload in the middle of a segment. What was given stays as it was.
func TestSamples(t *testing.T) {
	r := open(t, recording.Options{Queue: 10_000, SegmentBytes: 64 << 10, MaxBytes: 64 << 20})
	w, quiet := newWorld(1, "orders", 5), newWorld(2, "quiet", 2)
	late := w.group
	w.group.Workloads = w.group.Workloads[:4]
	for i := range 300 {
		if i == 50 {
			w.group = late
		}
		record(r, w.step(time.Second))
		record(r, quiet.step(time.Second))
	}
	r.Flush()
	from, to, step := start.Add(20*time.Second), start.Add(290*time.Second), 15*time.Second

	var whole []recording.Record
	last := map[string]time.Time{}
	for rec, err := range r.Reader().Records(from, to) {
		if err != nil {
			t.Fatal(err)
		}
		if at, seen := last[rec.Group.Name()]; seen && rec.At.Sub(at) < step {
			continue
		}
		last[rec.Group.Name()] = rec.At
		whole = append(whole, rec.Clone())
	}
	var samples []recording.Record
	var texts []string
	for rec, err := range r.Reader().Samples(from, to, step) {
		if err != nil {
			t.Fatal(err)
		}
		samples, texts = append(samples, rec), append(texts, text(t, rec))
	}
	if len(samples) != len(whole) || len(whole) < 2*15 {
		t.Fatalf("found %d samples, of %d records", len(samples), len(whole))
	}
	seen := map[metrics.ID]bool{}
	for i, want := range whole {
		if now := text(t, samples[i]); now != texts[i] {
			t.Fatalf("sample %d became another:\n%s\nand was\n%s", i, now, texts[i])
		}
		for id, m := range samples[i].Ledger.Databases {
			if text(t, m) != text(t, want.Ledger.Databases[id]) {
				t.Errorf("%s: the memory of %s is another", want.At, id)
			}
			seen[id] = true
		}
		for id, m := range samples[i].Ledger.Workloads {
			if text(t, m) != text(t, want.Ledger.Workloads[id]) {
				t.Errorf("%s: the memory of %s is another", want.At, id)
			}
			seen[id] = true
		}
		for id := range want.Ledger.Databases {
			if !seen[id] {
				t.Errorf("%s: expected the memory of %s, found none", want.At, id)
			}
		}
		for id := range want.Ledger.Workloads {
			if !seen[id] {
				t.Errorf("%s: expected the memory of %s, found none", want.At, id)
			}
		}
		want.Ledger, samples[i].Ledger = policy.Ledger{}, policy.Ledger{}
		if found, want := text(t, samples[i]), text(t, want); found != want {
			t.Fatalf("sample %d is\n%s\nand was recorded as\n%s", i, found, want)
		}
	}
	if len(seen) != 5+2+2 {
		t.Errorf("expected the memory of 2 databases and 7 workloads, found %v", seen)
	}
}
