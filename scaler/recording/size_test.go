package recording_test

import (
	"os"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/scaler/recording"
)

// What 24 hours of 100 workloads on one database take, from some minutes of
// them in which every queue's depth changes with every poll.
func BenchmarkDay(b *testing.B) {
	for _, c := range []struct {
		name string
		step time.Duration
	}{{"every second", time.Second}, {"every reading", 50 * time.Millisecond}} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				dir := b.TempDir()
				r, err := recording.Open(recording.Options{Dir: dir, Queue: 100_000, MaxBytes: 1 << 30, SegmentBytes: 4 << 20})
				if err != nil {
					b.Fatal(err)
				}
				w := newWorld(1, "orders", 100)
				w.scaling, w.minutes = 5*time.Minute, 60
				var took time.Duration
				simulated := 600 * c.step
				for w.now.Sub(start) < simulated {
					m := w.step(c.step)
					r.Flush()
					began := time.Now()
					record(r, m)
					r.Flush()
					took += time.Since(began)
				}
				stats := r.Stats()
				if err := r.Close(); err != nil {
					b.Fatal(err)
				}
				size := int64(0)
				for _, s := range mustList(b, dir) {
					size += s
				}
				reader, err := recording.OpenReader(dir)
				if err != nil {
					b.Fatal(err)
				}
				began := time.Now()
				n := 0
				for _, err := range reader.Records(time.Time{}, time.Time{}) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
				perDay := float64(24*time.Hour) / float64(simulated)
				b.ReportMetric(float64(size)*perDay/(1<<20), "MiB/day")
				b.ReportMetric(time.Since(began).Seconds()*perDay, "s-to-read/day")
				b.ReportMetric(took.Seconds()/simulated.Seconds()*100, "%cpu-to-write")
				b.ReportMetric(float64(stats.Records)*perDay, "records/day")
			}
		})
	}
}

func mustList(b *testing.B, dir string) (sizes []int64) {
	b.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			b.Fatal(err)
		}
		sizes = append(sizes, info.Size())
	}
	return sizes
}

func BenchmarkReading(b *testing.B) {
	r, err := recording.Open(recording.Options{Queue: 100_000, MaxBytes: 1 << 30, SegmentBytes: 4 << 20})
	if err != nil {
		b.Fatal(err)
	}
	w := newWorld(1, "orders", 100)
	w.scaling = 5 * time.Minute
	for range 600 {
		record(r, w.step(time.Second))
	}
	reader := r.Reader()
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range reader.Records(time.Time{}, time.Time{}) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
}
