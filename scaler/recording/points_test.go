package recording

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// A minute of points costs what is new in it, and not the hour that is carried.
func TestAMinuteOfPointsIsSmall(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 10, 0, time.UTC)
	random := rand.New(rand.NewPCG(1, 2))
	const workloads = 100
	var group policy.Group
	known := map[metrics.ID]metrics.Points{}
	value := func() *float64 { v := float64(random.IntN(5000)); return &v }
	// publish adds the minute before now, and drops what is older than an hour.
	publish := func(now time.Time) map[metrics.ID]metrics.Reading[metrics.Points] {
		out := map[metrics.ID]metrics.Reading[metrics.Points]{}
		for _, w := range group.Workloads {
			old := known[w.ID].Minutes
			minutes := append(append([]metrics.Minute(nil), old[max(0, len(old)-59):]...), metrics.Minute{
				Start: now.Truncate(time.Minute).Add(-time.Minute), Sent: value(), Received: value(), Deleted: value(), OldestAge: value(),
			})
			known[w.ID] = metrics.Points{Minutes: minutes}
			out[w.ID] = metrics.Known(known[w.ID], now)
		}
		return out
	}
	for i := range workloads {
		group.Workloads = append(group.Workloads, policy.Workload{ID: metrics.ID{Namespace: "shop", Name: fmt.Sprintf("workers-%d", i)}})
	}
	e, _, err := newEncoder("test")
	if err != nil {
		t.Fatal(err)
	}
	var first, rest, minutes int
	for minute := range 90 {
		now := at.Add(time.Duration(minute) * time.Minute)
		points := publish(now)
		frame, err := e.encode(Record{At: now, Group: group, Snapshot: policy.Snapshot{Points: points}}, time.Hour)
		if err != nil || frame == nil {
			t.Fatal(frame, err)
		}
		switch {
		case minute == 0:
			first = len(frame)
		case minute >= 60:
			rest, minutes = rest+len(frame), minutes+1
		}
		// Most decisions come between two readings: then there is nothing to say.
		if frame, err := e.encode(Record{At: now.Add(time.Second), Group: group, Snapshot: policy.Snapshot{Points: points}}, time.Hour); frame != nil || err != nil {
			t.Fatalf("minute %d: %d bytes of nothing new, %v", minute, len(frame), err)
		}
	}
	perMinute := float64(rest) / float64(minutes) / workloads
	t.Logf("%.1f bytes for a workload's minute; the first record %d bytes", perMinute, first)
	if perMinute > 40 { // 5.5 MiB a day of 100 workloads, before compression
		t.Errorf("a workload's minute takes %.1f bytes", perMinute)
	}
}

// Points are read as they were written, whatever they are.
func TestAnyPointsAreKept(t *testing.T) {
	optional := rapid.Custom(func(r *rapid.T) *float64 {
		if rapid.Bool().Draw(r, "known") {
			v := rapid.Float64Range(0, 1e12).Draw(r, "value")
			return &v
		}
		return nil
	})
	base := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rapid.Check(t, func(r *rapid.T) {
		id := metrics.ID{Namespace: "shop", Name: "workers"}
		group := policy.Group{Workloads: []policy.Workload{{ID: id}}}
		e, header, err := newEncoder("test")
		if err != nil {
			r.Fatal(err)
		}
		segment := bytes.NewBuffer(header)
		var wrote []string
		for n := range rapid.IntRange(1, 6).Draw(r, "records") {
			var reading metrics.Reading[metrics.Points]
			if rapid.Bool().Draw(r, "read") {
				starts := rapid.SliceOfNDistinct(rapid.IntRange(0, 90), 0, 20, func(i int) int { return i }).Draw(r, "minutes")
				var points metrics.Points
				for _, start := range slices.Sorted(slices.Values(starts)) {
					points.Minutes = append(points.Minutes, metrics.Minute{
						Start: base.Add(time.Duration(start) * time.Minute), Sent: optional.Draw(r, "sent"), Received: optional.Draw(r, "received"),
						Deleted: optional.Draw(r, "deleted"), OldestAge: optional.Draw(r, "age"), Groups: optional.Draw(r, "groups"),
					})
				}
				reading = metrics.Known(points, base.Add(time.Duration(n)*time.Minute))
			}
			reading = reading.Failed(rapid.SampledFrom([]string{"", "denied"}).Draw(r, "problem"))
			record := Record{At: base.Add(time.Duration(n) * time.Minute), Group: group, Checksum: uint32(n)}
			if rapid.Bool().Draw(r, "asked") {
				record.Snapshot.Points = map[metrics.ID]metrics.Reading[metrics.Points]{id: reading}
			}
			frame, err := e.encode(record, 0)
			if err != nil {
				r.Fatal(err)
			}
			segment.Write(frame)
			wrote = append(wrote, textOf(r, record))
		}
		d, err := newDecoder(segment)
		if err != nil {
			r.Fatal(err)
		}
		for n := 0; ; n++ {
			record, err := d.next()
			if errors.Is(err, io.EOF) {
				if n != len(wrote) {
					r.Fatalf("%d records, want %d", n, len(wrote))
				}
				return
			}
			if err != nil {
				r.Fatal(err)
			}
			if got := textOf(r, record.record()); got != wrote[n] {
				r.Fatalf("record %d is read as\n%s\nand was\n%s", n, got, wrote[n])
			}
		}
	})
}

func textOf(r *rapid.T, record Record) string {
	text, err := json.Marshal(record.Snapshot.Points)
	if err != nil {
		r.Fatal(err)
	}
	return string(text)
}
