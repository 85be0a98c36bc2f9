package recording_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/recording"
)

func open(t *testing.T, options recording.Options) *recording.Recorder {
	t.Helper()
	r, err := recording.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func record(r *recording.Recorder, m made) {
	r.Record(m.at, m.group, m.snapshot, m.ledger, m.plan)
}

func text(t *testing.T, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Whatever was decided in half an hour of a busy group can be decided again from
// the recording, to the byte, in memory and from files that were written in two
// runs.
func TestEveryDecisionCanBeMadeAgain(t *testing.T) {
	for name, dir := range map[string]string{"memory": "", "directory": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			options := recording.Options{Dir: dir, SegmentBytes: 16 << 10, Queue: 10_000, MaxBytes: 64 << 20, Program: "test"}
			r := open(t, options)
			w := newWorld(1, "orders", 5)
			quiet := newWorld(2, "quiet", 2)
			quiet.quiet = 1000
			var decisions []made
			for i := range 240 {
				if dir != "" && i == 120 {
					if err := r.Close(); err != nil {
						t.Fatal(err)
					}
					r = open(t, options)
				}
				w.quiet = []int{0, 500, 990, 1000}[i/40%4]
				d := time.Duration(w.r.Int64N(int64(4 * time.Second)))
				for _, m := range []made{w.step(d), quiet.step(d)} {
					decisions = append(decisions, m)
					record(r, m)
				}
			}
			reader := r.Reader()
			stats := r.Stats()
			t.Logf("%d decisions: %+v", len(decisions), stats)
			if stats.Dropped > 0 || stats.Problem != "" || stats.Unchanged == 0 {
				t.Errorf("unexpected: %+v", stats)
			}
			if dir != "" {
				var err error
				if reader, err = recording.OpenReader(dir); err != nil {
					t.Fatal(err)
				}
			}
			checkAll(t, reader, decisions)
		})
	}
}

// checkAll goes through decisions and recording side by side.
func checkAll(t *testing.T, reader *recording.Reader, decisions []made) {
	t.Helper()
	inForce := map[string]recording.Record{}
	next := 0
	checksum := func(want made) {
		t.Helper()
		r := inForce[want.plan.Group]
		age := want.at.Sub(r.At)
		if recording.Checksum(want.plan) == r.Checksum && age < recording.Heartbeat {
			return
		}
		for _, w := range want.plan.Workloads {
			o := r.Outcomes[w.ID]
			if o.Target != w.Target || o.Value != w.Value || o.Active != w.Active || o.Reason != w.Reason || len(w.Admissions) > 0 || age >= recording.Interval {
				t.Fatalf("%s: the record in force is of %s and says %+v of %+v", want.at, r.At, o, w)
			}
		}
	}
	for rec, err := range reader.Records(time.Time{}, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		for ; !decisions[next].at.Equal(rec.At) || decisions[next].plan.Group != rec.Group.Name(); next++ {
			checksum(decisions[next]) // passed over: it said nothing new
		}
		want := decisions[next]
		next++
		plan, _ := policy.Decide(rec.At, rec.Group, rec.Snapshot, rec.Ledger)
		for part, pair := range map[string][2]any{
			"plan": {want.plan, plan}, "group": {want.group, rec.Group}, "snapshot": {want.snapshot, rec.Snapshot}, "ledger": {want.ledger, rec.Ledger},
		} {
			if a, b := text(t, pair[0]), text(t, pair[1]); a != b {
				t.Fatalf("%s: the %s was\n%s\nand is read as\n%s", want.at, part, a, b)
			}
		}
		for _, w := range want.plan.Workloads {
			if o := rec.Outcomes[w.ID]; o.Target != w.Target || o.Reason != w.Reason || o.Ceiling != w.Ceiling {
				t.Fatalf("%s: outcome of %s is %+v, expected %+v", want.at, w.ID, o, w)
			}
		}
		inForce[plan.Group] = rec.Clone()
		checksum(want)
	}
	for ; next < len(decisions); next++ {
		checksum(decisions[next])
	}
}

func TestTheRecordInForce(t *testing.T) {
	r := open(t, recording.Options{SegmentBytes: 8 << 10, MaxBytes: 8 << 20, Queue: 1000})
	w := newWorld(3, "orders", 3)
	var decisions []made
	for range 200 {
		m := w.step(time.Second)
		decisions = append(decisions, m)
		record(r, m)
	}
	reader := r.Reader()
	id := w.group.Workloads[1].ID
	for i := 0; i < len(decisions); i += 17 {
		m := decisions[i]
		rec, err := reader.At(id, m.at.Add(500*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		if plan, _ := policy.Decide(rec.At, rec.Group, rec.Snapshot, rec.Ledger); !rec.At.Equal(m.at) || text(t, plan) != text(t, m.plan) {
			t.Fatalf("at %s: found the record of %s", m.at, rec.At)
		}
	}

	_, err := reader.At(id, start.Add(-time.Minute))
	var missing *recording.NotFoundError
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), "the recording begins at 2026-03-01T12:00:01Z") {
		t.Errorf("before the beginning: %v", err)
	}
	_, err = reader.At(metrics.ID{Namespace: "shop", Name: "nobody"}, decisions[150].at)
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), "no workload shop/nobody") || !strings.Contains(err.Error(), "shop/orders-workers-001") {
		t.Errorf("an unknown workload: %v", err)
	}

	var found int
	for rec, err := range reader.Records(decisions[100].at, decisions[120].at) {
		if err != nil || rec.At.Before(decisions[100].at) || !rec.At.Before(decisions[120].at) {
			t.Fatalf("%s, %v", rec.At, err)
		}
		found++
	}
	if found != 20 {
		t.Errorf("%d records from one time up to another 20 seconds later, expected 20", found)
	}
}

func TestAnEmptyRecording(t *testing.T) {
	r := open(t, recording.Options{})
	_, err := r.Reader().At(metrics.ID{Namespace: "a", Name: "b"}, start)
	if err == nil || err.Error() != "the recording is empty" {
		t.Errorf("unexpected: %v", err)
	}
	if _, err := recording.OpenReader(t.TempDir()); err == nil || !strings.Contains(err.Error(), "expected a recording in ") {
		t.Errorf("unexpected: %v", err)
	}
	if _, err := recording.OpenReader(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("opened a directory that is not there")
	}
}

// The oldest segments make room, on disk and in memory, and the limit holds
// after every record.
func TestARecordingIsBounded(t *testing.T) {
	const most = 64 << 10
	for name, dir := range map[string]string{"memory": "", "directory": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			r := open(t, recording.Options{Dir: dir, MaxBytes: most, Queue: 1000})
			w := newWorld(4, "orders", 5)
			var last made
			var peak int64
			for i := range 250 {
				last = w.step(time.Second)
				record(r, last)
				if i%10 == 0 {
					r.Flush()
					size := r.Stats().Bytes
					if dir != "" {
						size = sizeOf(t, dir)
					}
					peak = max(peak, size)
				}
			}
			t.Logf("at most %d of %d bytes", peak, most)
			if peak > most || peak < most/3 {
				t.Errorf("the recording took %d bytes, expected up to %d", peak, most)
			}
			reader := r.Reader()
			if stats := r.Stats(); stats.Dropped > 0 {
				t.Errorf("unexpected: %+v", stats)
			}
			rec, err := reader.At(w.group.Workloads[0].ID, last.at)
			if err != nil || !rec.At.Equal(last.at) {
				t.Errorf("the newest: %s, %v", rec.At, err)
			}
			if _, err := reader.At(w.group.Workloads[0].ID, start.Add(time.Minute)); err == nil {
				t.Error("the oldest is still there")
			}
		})
	}
}

func sizeOf(t *testing.T, dir string) (total int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s can be read by others: %s", e.Name(), info.Mode())
		}
		total += info.Size()
	}
	return total
}

func TestADirectoryHasOneWriter(t *testing.T) {
	dir := t.TempDir()
	open(t, recording.Options{Dir: dir})
	if _, err := recording.Open(recording.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("unexpected: %v", err)
	}
}

// A clock that jumps does not confuse what was recorded before and after.
func TestAClockThatWasSetBack(t *testing.T) {
	r := open(t, recording.Options{Queue: 1000})
	w := newWorld(5, "orders", 2)
	var decisions []made
	for i := range 60 {
		d := time.Second
		if i == 30 {
			d = -time.Hour
		}
		m := w.step(d)
		decisions = append(decisions, m)
		record(r, m)
	}
	checkAll(t, r.Reader(), decisions)
}

func TestClosing(t *testing.T) {
	dir := t.TempDir()
	r := open(t, recording.Options{Dir: dir, Queue: 100})
	w := newWorld(6, "orders", 2)
	var decisions []made
	for range 50 {
		decisions = append(decisions, w.step(time.Second))
		record(r, decisions[len(decisions)-1])
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	record(r, w.step(time.Second)) // after Close: nothing happens
	r.Flush()
	reader, err := recording.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	checkAll(t, reader, decisions)
	if files, _ := filepath.Glob(filepath.Join(dir, "*.rec")); len(files) > 0 {
		t.Errorf("expected only sealed segments after Close, found %v", files)
	}
}
