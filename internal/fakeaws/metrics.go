package fakeaws

import (
	"sort"
	"sync"
	"time"
)

// Metric names one series in CloudWatch, with the one dimension that the
// metrics of SQS queues and RDS instances have.
type Metric struct {
	Namespace string // "AWS/RDS"
	Name      string // "DatabaseConnections"
	Dimension string // "DBInstanceIdentifier"
	Value     string // "orders-db"
}

// Publishing says when the point of a minute that starts at start can be seen
// in CloudWatch: after the delay, counted from the minute's end, or, with ok
// false, never. It must give the same answer every time.
type Publishing func(m Metric, start time.Time) (delay time.Duration, ok bool)

// metricStore holds the series that are not of queues, and when points show.
type metricStore struct {
	mu         sync.Mutex
	publishing Publishing
	series     map[Metric]*observed
	running    bool
	alarm      *time.Timer
	now        func() time.Time
}

// observed is a series read once a minute from somewhere else.
type observed struct {
	read   func(at time.Time) (float64, bool)
	start  time.Time // of the open minute
	points []value
}

// value is one point of one metric.
type value struct {
	start  time.Time
	amount float64
}

// SetPublishingDelay shows every point the same time after its minute's end.
// It applies to the points there are, too.
func (s *Server) SetPublishingDelay(delay time.Duration) {
	s.SetPublishing(func(Metric, time.Time) (time.Duration, bool) { return delay, true })
}

// SetPublishing decides for each point of each metric when it shows: late,
// out of order, or not at all. It applies to the points there are, too.
func (s *Server) SetPublishing(p Publishing) {
	s.metrics.mu.Lock()
	defer s.metrics.mu.Unlock()
	s.metrics.publishing = p
}

// SetMetric gives CloudWatch a series other than those of the queues here, as
// DatabaseConnections of an RDS instance. From the present minute on, read is
// called once for every minute, with the minute's end; false leaves the
// minute without a point. While the server listens that happens on time; else
// when metrics are next asked for. It must not ask the server for metrics. A
// nil read ends the series and forgets its points.
func (s *Server) SetMetric(m Metric, read func(at time.Time) (value float64, ok bool)) {
	s.metrics.mu.Lock()
	defer s.metrics.mu.Unlock()
	if read == nil {
		delete(s.metrics.series, m)
		return
	}
	if s.metrics.series == nil {
		s.metrics.series = map[Metric]*observed{}
	}
	s.metrics.series[m] = &observed{read: read, start: s.now().Truncate(minute)}
	s.metrics.arm()
}

// start has every minute read on time from now on.
func (ms *metricStore) start(now func() time.Time) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	ms.running, ms.now = true, now
	ms.arm()
}

func (ms *metricStore) stop() {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	ms.running = false
	if ms.alarm != nil {
		ms.alarm.Stop()
		ms.alarm = nil
	}
}

// arm sets the alarm for the end of the open minute. The caller holds the lock.
func (ms *metricStore) arm() {
	if !ms.running || ms.alarm != nil || len(ms.series) == 0 {
		return
	}
	now := ms.now()
	ms.alarm = time.AfterFunc(now.Truncate(minute).Add(minute).Sub(now), func() {
		ms.mu.Lock()
		defer ms.mu.Unlock()
		ms.alarm = nil
		if ms.running {
			ms.collect(ms.now())
			ms.arm()
		}
	})
}

// collect reads the minutes that ended. The caller holds the lock.
func (ms *metricStore) collect(now time.Time) {
	for _, o := range ms.series {
		for end := o.start.Add(minute); !end.After(now); end = o.start.Add(minute) {
			if v, ok := o.read(end); ok {
				o.points = append(o.points, value{o.start, v})
			}
			o.start = end
		}
	}
}

// published returns the points of a metric that start in [from, to) and that
// could be seen at the moment asOf, oldest first.
func (s *Server) published(m Metric, from, to, asOf time.Time) []value {
	all := s.queueSeries(m, from, to)
	s.metrics.mu.Lock()
	if o := s.metrics.series[m]; o != nil {
		s.metrics.collect(s.now())
		all = append(all, within(o.points, from, to, func(v value) time.Time { return v.start })...)
	}
	publishing := s.metrics.publishing
	s.metrics.mu.Unlock()
	var out []value
	for _, v := range all {
		if delay, ok := publishing(m, v.start); ok && !v.start.Add(minute+delay).After(asOf) {
			out = append(out, v)
		}
	}
	return out
}

// within is the part of points, which are in order, that starts in [from, to).
func within[P any](points []P, from, to time.Time, start func(P) time.Time) []P {
	before := func(t time.Time) int {
		return sort.Search(len(points), func(i int) bool { return !start(points[i]).Before(t) })
	}
	first := before(from)
	return points[first:max(first, before(to))]
}

// queueSeries returns a queue's points of one metric that start in [from, to).
func (s *Server) queueSeries(m Metric, from, to time.Time) []value {
	amount := queueMetrics[m.Name]
	if m.Namespace != "AWS/SQS" || m.Dimension != "QueueName" || amount == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[m.Value]
	if q == nil || m.Name == "ApproximateNumberOfGroupsWithInflightMessages" && !q.fifo {
		return nil
	}
	q.advance(s.now())
	s.settleWaiters(q)
	var out []value
	for _, p := range within(q.series.points, from, to, func(p point) time.Time { return p.start }) {
		out = append(out, value{p.start, amount(p)})
	}
	return out
}
