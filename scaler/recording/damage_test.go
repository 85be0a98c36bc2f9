package recording_test

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/scaler/recording"
)

// recorded returns the only segment of a short recording, open or sealed, and
// the times of its records.
func recorded(t testing.TB, sealed bool) (name string, data []byte, times []time.Time) {
	t.Helper()
	dir := t.TempDir()
	r, err := recording.Open(recording.Options{Dir: dir, Queue: 100})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(7, "orders", 1)
	for range 12 {
		record(r, w.step(time.Second))
	}
	r.Flush()
	for rec, err := range r.Reader().Records(time.Time{}, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, rec.At)
	}
	pattern := "*.rec"
	if sealed {
		pattern += ".zst"
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	found, _ := filepath.Glob(filepath.Join(dir, pattern))
	if len(found) != 1 {
		t.Fatalf("expected one segment, found %v", found)
	}
	data, err = os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Base(found[0]), data, times
}

// readAll returns the times of all records and what damage was met.
func readAll(t testing.TB, dir string) (times []time.Time, damage []*recording.DamageError) {
	t.Helper()
	reader, err := recording.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	for rec, err := range reader.Records(time.Time{}, time.Time{}) {
		var d *recording.DamageError
		if errors.As(err, &d) {
			damage = append(damage, d)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, rec.At)
	}
	return times, damage
}

// A process that dies while it writes leaves a segment that ends anywhere. All
// whole records before are there, the error says where, and the next process
// carries on behind them.
func TestASegmentThatEndsAnywhere(t *testing.T) {
	name, data, times := recorded(t, false)
	before := -1
	cuts := []int{len(data)}
	for cut := 0; cut < len(data); cut += 1 + len(data)/150 {
		cuts = append(cuts, cut)
	}
	slices.Sort(cuts)
	for _, cut := range cuts {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		found, damage := readAll(t, dir)
		if len(found) < before || len(damage) > 1 {
			t.Fatalf("cut at byte %d: %d records, %v", cut, len(found), damage)
		}
		for i, at := range found {
			if !at.Equal(times[i]) {
				t.Fatalf("cut at byte %d: record %d is of %s, expected %s", cut, i, at, times[i])
			}
		}
		for _, d := range damage {
			if d.Segment != name || d.Records != len(found) || d.Offset > int64(cut) || !strings.Contains(d.Error(), "cut short") {
				t.Fatalf("cut at byte %d: %v", cut, d)
			}
		}
		before = len(found)
		if cut%7 != 0 {
			continue
		}
		r, err := recording.Open(recording.Options{Dir: dir})
		if err != nil {
			t.Fatalf("cut at byte %d: %v", cut, err)
		}
		w := newWorld(8, "later", 1)
		w.now = start.Add(time.Hour)
		record(r, w.step(time.Second))
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if after, damage := readAll(t, dir); len(after) != len(found)+1 || len(damage) > 0 {
			t.Fatalf("cut at byte %d: %d records and then %d, %v", cut, len(found), len(after), damage)
		}
	}
	if before != len(times) {
		t.Errorf("only %d of %d records were found in all of it", before, len(times))
	}
}

// A disk may hand back anything.
func TestASegmentWithWrongBytes(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		name, data, times := recorded(t, sealed)
		for at := 0; at < len(data); at += 1 + len(data)/100 {
			dir := t.TempDir()
			broken := append([]byte(nil), data...)
			broken[at] ^= 0x5a
			if err := os.WriteFile(filepath.Join(dir, name), broken, 0o600); err != nil {
				t.Fatal(err)
			}
			found, damage := readAll(t, dir)
			// Of a compressed segment some bits carry nothing.
			if harmless := sealed && len(found) == len(times); len(damage) != 1 && !harmless {
				t.Fatalf("%s, byte %d: expected to hear of the damage, found %d records and %v", name, at, len(found), damage)
			}
			for i, when := range found {
				if !when.Equal(times[i]) {
					t.Fatalf("%s, byte %d: record %d is of %s, expected %s", name, at, i, when, times[i])
				}
			}
		}
	}
}

// One damaged segment costs its own records only.
func TestOtherSegmentsAreRead(t *testing.T) {
	dir := t.TempDir()
	r := open(t, recording.Options{Dir: dir, SegmentBytes: 8 << 10, MaxBytes: 8 << 20, Queue: 1000})
	w := newWorld(9, "orders", 3)
	var last made
	for range 200 {
		last = w.step(time.Second)
		record(r, last)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	whole, _ := readAll(t, dir)
	segments, _ := filepath.Glob(filepath.Join(dir, "*.zst"))
	if len(segments) < 3 {
		t.Fatalf("expected some segments, found %v", segments)
	}
	if err := os.Truncate(segments[1], 100); err != nil {
		t.Fatal(err)
	}
	found, damage := readAll(t, dir)
	if len(damage) != 1 || damage[0].Segment != filepath.Base(segments[1]) || len(found) >= len(whole) || !found[len(found)-1].Equal(last.at) {
		t.Errorf("found %d of %d records, %v", len(found), len(whole), damage)
	}
}

// What is left when compressing was interrupted is cleared away, and nothing is
// counted twice.
func TestACrashWhileSealing(t *testing.T) {
	name, data, times := recorded(t, false)
	_, sealed, _ := recorded(t, true)
	dir := t.TempDir()
	for file, content := range map[string][]byte{name: data, name + ".zst": sealed, "00000009-20260301T120000.000000000Z.rec.zst.tmp": sealed[:10], "notes.txt": []byte("mine")} {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if found, damage := readAll(t, dir); len(found) != len(times) || len(damage) > 0 {
		t.Errorf("before: %d records, expected %d; %v", len(found), len(times), damage)
	}
	if err := open(t, recording.Options{Dir: dir}).Close(); err != nil {
		t.Fatal(err)
	}
	if found, damage := readAll(t, dir); len(found) != len(times) || len(damage) > 0 {
		t.Errorf("after: %d records, expected %d; %v", len(found), len(times), damage)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(left) != 3 { // the sealed segment, the lock and somebody's notes
		t.Errorf("left behind: %v", left)
	}
}

// Recording fails while the directory is gone, says so once, and works again
// when it is back.
func TestADirectoryThatComesBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "recording")
	var log strings.Builder
	r, err := recording.Open(recording.Options{Dir: dir, Queue: 100, MaxBytes: 64 << 10, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(10, "orders", 2)
	run := func(n int) {
		for range n {
			record(r, w.step(time.Second))
		}
		r.Flush()
	}
	run(3)
	moved := dir + "-moved"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	run(60) // fills the segment, which then can't be sealed
	if s := r.Stats(); s.Problem == "" || s.Dropped == 0 {
		t.Errorf("unexpected: %+v", s)
	}
	if err := os.Rename(moved, dir); err != nil {
		t.Fatal(err)
	}
	run(30)
	if s := r.Stats(); s.Problem != "" {
		t.Errorf("unexpected: %+v", s)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if text := log.String(); strings.Count(text, "can't be recorded") != 1 || strings.Count(text, "recorded again") != 1 {
		t.Errorf("expected one line each way, found\n%s", text)
	}
	found, damage := readAll(t, dir)
	if len(damage) > 0 || !found[len(found)-1].Equal(w.now) {
		t.Errorf("%d records, %v", len(found), damage)
	}
}

func FuzzAnyFile(f *testing.F) {
	for _, sealed := range []bool{false, true} {
		_, data, _ := recorded(f, sealed)
		f.Add(data, sealed)
	}
	f.Fuzz(func(t *testing.T, data []byte, sealed bool) {
		dir := t.TempDir()
		name := "00000001-20260301T120000.000000000Z.rec"
		if sealed {
			name += ".zst"
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		readAll(t, dir)
		r, err := recording.Open(recording.Options{Dir: dir, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
