package forecast

import (
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/cloudwatch"
)

// cloudWatchMetrics is how many metrics of a standard queue are asked for in a minute.
var cloudWatchMetrics = int64(cloudwatch.MetricsOf("queue"))

// keptMinutes is how far back CloudWatch is asked.
const keptMinutes = 30

// minute counts what happens to the queue in the current minute, and keeps the last
// ones.
type minute struct {
	sent, received, deleted int64
	oldest                  time.Duration
	past                    []metrics.Minute
}

// everyMinute ends a minute when the clock does.
func (r *run) everyMinute() {
	r.every(time.Minute, time.Minute, func() {
		m := &r.minute
		if age, ok := r.oldest(); ok {
			m.oldest = max(m.oldest, age)
		}
		m.past = append(m.past, metrics.Minute{
			Start: r.clock().Add(-time.Minute), Sent: number(m.sent), Received: number(m.received), Deleted: number(m.deleted), OldestAge: seconds(m.oldest),
		})
		if len(m.past) > 2*keptMinutes {
			m.past = append([]metrics.Minute(nil), m.past[keptMinutes:]...)
		}
		m.sent, m.received, m.deleted, m.oldest = 0, 0, 0, 0
	})
}

// oldest is the age of the oldest message that waits or is in work.
func (r *run) oldest() (time.Duration, bool) {
	first, found := time.Duration(0), false
	if m, ok := r.queue.oldest(); ok {
		first, found = m.at, true
	}
	for _, t := range r.work.queue {
		if !t.what.pod.gone && (!found || t.what.at < first) {
			first, found = t.what.at, true
		}
	}
	return r.now - first, found
}

// published are the minutes that ended by a time, the last keptMinutes of them.
func (m *minute) published(by time.Time) metrics.Points {
	n := len(m.past)
	for n > 0 && m.past[n-1].Start.Add(time.Minute).After(by) {
		n--
	}
	return metrics.Points{Minutes: append([]metrics.Minute(nil), m.past[max(0, n-keptMinutes):n]...)}
}

func number(n int64) *float64 {
	v := float64(n)
	return &v
}

func seconds(d time.Duration) *float64 {
	v := d.Seconds()
	return &v
}
