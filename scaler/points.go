package scaler

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/cloudwatch"
	"github.com/keda-headroom/headroom/metrics/poll"
	"github.com/keda-headroom/headroom/policy"
)

// OpenPoints makes the sources of what CloudWatch knows of queues. Its methods
// must not wait for anything.
type OpenPoints interface {
	// Find returns where the metrics of a queue are kept, and under which name.
	Find(q policy.SQS) (place cloudwatch.Place, queue string, err error)
	// Open opens the source of a place. names returns the queues that are to be
	// asked about at the time of each reading.
	Open(place cloudwatch.Place, names func() []string) poll.Source[cloudwatch.Queues]
}

// placeSource is all queues of one place, which are read together.
type placeSource struct {
	source[cloudwatch.Queues]
	names *atomic.Pointer[[]string] // shared by those who share the handle's poller
}

// pointsSource is a queue in a place, or why there is none.
type pointsSource struct {
	place cloudwatch.Place
	queue string
	err   error
}

// reading returns the queue's part of its place's reading.
func (p pointsSource) reading(held *held) metrics.Reading[metrics.Points] {
	if p.err != nil {
		return metrics.Unknown[metrics.Points](p.err.Error())
	}
	all := held.places[p.place].reading()
	queues, _ := all.Last()
	queue, ok := queues[p.queue]
	if !ok { // not asked about yet
		return metrics.Reading[metrics.Points]{}.Failed(all.Problem())
	}
	return metrics.Known(queue.Points, all.Began()).Failed(cmp.Or(all.Problem(), queue.Problem))
}

// usePoints acquires the places of the queues of set that ask for CloudWatch.
func (s *Sources) usePoints(set policy.Set, now, before *held) {
	now.places, now.points = map[cloudwatch.Place]placeSource{}, map[metrics.ID]pointsSource{}
	if s.options.Open.Points == nil {
		return
	}
	names := map[cloudwatch.Place][]string{}
	for _, w := range set.Workloads {
		if w.SQS == nil || !w.SQS.AsksCloudWatch() {
			continue
		}
		var p pointsSource
		p.place, p.queue, p.err = s.options.Open.Points.Find(*w.SQS)
		if p.err == nil {
			names[p.place] = append(names[p.place], p.queue)
		}
		now.points[w.ID] = p
	}
	for place, queues := range names {
		slices.Sort(queues)
		now.places[place] = s.place(place, slices.Compact(queues), before.places[place])
	}
}

// place acquires the source of a place, which is asked about names from now on.
func (s *Sources) place(place cloudwatch.Place, names []string, before placeSource) placeSource {
	out := placeSource{source: source[cloudwatch.Queues]{name: place.String()}, names: before.names}
	if out.names == nil {
		out.names = new(atomic.Pointer[[]string])
	}
	asked := out.names.Swap(&names)
	out.handle, out.err = s.points.Acquire(place, func() (poll.Source[cloudwatch.Queues], error) {
		return s.options.Open.Points.Open(place, func() []string { return *out.names.Load() }), nil
	}, cloudwatch.Settings())
	if out.err == nil && asked != nil && slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(*asked, n) }) {
		out.handle.Poke() // the last reading doesn't speak of the new queues
	}
	return out
}
