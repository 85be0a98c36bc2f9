package scaler

import (
	"cmp"
	"context"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/poll"
	"github.com/keda-headroom/headroom/policy"
)

const (
	// idleAfter is how long a queue has to have been empty before it is read less
	// often: SQS may take up to a minute to count what was sent.
	idleAfter = time.Minute
	// idleTries is how many reads in a row may fail before an idle queue is no
	// longer read again any sooner than one that answers.
	idleTries = 3
	// pokeBurst pokes may follow each other at once; then one in each pokeEvery
	// poll intervals. So pokes add at most a quarter to the reads of a queue that
	// is never idle, and on an idle one no poke is in vain.
	pokeBurst = 3
	pokeEvery = 4
)

// queueKey is what tells one queue from another; many workloads may share one.
type queueKey struct{ url, name, region, endpoint string }

func queueKeyOf(q policy.SQS) queueKey {
	return queueKey{url: q.QueueURL, name: q.QueueName, region: q.Region, endpoint: q.Endpoint}
}

// String names the queue in logs and metrics, other keys otherwise.
func (k queueKey) String() string {
	text := cmp.Or(k.url, k.name)
	if k.region != "" {
		text += " in " + k.region
	}
	if k.endpoint != "" {
		text += " at " + k.endpoint
	}
	return text
}

// queueSource is one workload's hold on a queue.
type queueSource struct {
	source[metrics.Queue]
	key      queueKey
	activity *activity // shared by those who share the handle's poller
}

// useQueues acquires the queues of set.
func (s *Sources) useQueues(set policy.Set, now, before *held) {
	activities := map[queueKey]*activity{}
	for _, q := range before.queues {
		activities[q.key] = q.activity
	}
	users := map[queueKey][]metrics.ID{}
	for _, w := range set.Workloads {
		if w.SQS == nil {
			continue
		}
		key := queueKeyOf(*w.SQS)
		users[key] = append(users[key], w.ID)
		if activities[key] == nil {
			activities[key] = s.newActivity(w.SQS.PollInterval)
		}
		now.queues[w.ID] = s.queue(key, *w.SQS, activities[key])
	}
	for key, ids := range users {
		activities[key].users.Store(&ids)
	}
}

// queue acquires the source of q.
func (s *Sources) queue(key queueKey, q policy.SQS, activity *activity) queueSource {
	out := queueSource{source: source[metrics.Queue]{name: key.String()}, key: key, activity: activity}
	out.handle, out.err = s.queues.Acquire(key, func() (poll.Source[metrics.Queue], error) {
		opened, err := s.options.Open.Queue(q)
		if err != nil {
			return nil, err
		}
		return pacedQueue{Source: opened, activity: activity}, nil
	}, poll.Settings{Interval: q.PollInterval, IdleInterval: q.IdlePollInterval})
	return out
}

// activity is what makes a queue worth reading often: messages a short while ago,
// replicas of a workload that takes from it, or somebody who says so. Its methods
// may be called at any time from anywhere.
type activity struct {
	running func(metrics.ID) bool // whether a workload has replicas, as far as is known
	users   atomic.Pointer[[]metrics.ID]
	last    atomic.Pointer[time.Time]
	holds   atomic.Bool // the last good reading had messages
	slow    atomic.Bool // its poller waits for longer than it would for a busy queue
	pokes   *rate.Limiter
}

// newActivity returns one that was active now: what is not known yet is soon read
// again.
func (s *Sources) newActivity(interval time.Duration) *activity {
	a := &activity{
		running: func(id metrics.ID) bool { return s.held.Load().running(id) },
		pokes:   rate.NewLimiter(rate.Every(pokeEvery*max(interval, time.Millisecond)), pokeBurst),
	}
	a.users.Store(new([]metrics.ID))
	a.note()
	return a
}

func (a *activity) note() {
	now := time.Now()
	a.last.Store(&now)
}

func (a *activity) idle() bool {
	if a.holds.Load() || time.Since(*a.last.Load()) < idleAfter {
		return false
	}
	for _, id := range *a.users.Load() {
		if a.running(id) {
			return false
		}
	}
	return true
}

// running reports whether a workload has replicas; where that is unknown it may.
func (h *held) running(id metrics.ID) bool {
	fleets, ok := h.fleets.reading().Last()
	if !ok {
		return true
	}
	fleet, err := fleets.Of(id)
	return err != nil || fleet.SpecReplicas > 0 || fleet.StatusReplicas > 0
}

// wake has queues that are read slowly read at their own interval where they are
// no longer idle.
func (h *held) wake() {
	for _, q := range h.queues {
		if q.handle != nil && q.activity.slow.Load() && !q.activity.idle() {
			q.handle.Reconsider()
		}
	}
}

// pacedQueue is a queue that is read less often while it is idle.
type pacedQueue struct {
	poll.Source[metrics.Queue]
	activity *activity
}

var _ poll.Paced = pacedQueue{}

func (p pacedQueue) Read(ctx context.Context) (metrics.Queue, error) {
	q, err := p.Source.Read(ctx)
	if err == nil {
		holds := q.Visible > 0 || q.InFlight > 0 || q.Delayed > 0
		p.activity.holds.Store(holds)
		if holds {
			p.activity.note()
		}
	}
	return q, err
}

func (p pacedQueue) Due(settings poll.Settings, last poll.Attempt) time.Time {
	slow := p.activity.idle()
	p.activity.slow.Store(slow)
	if slow && (last.Failures == 0 || last.Failures > idleTries) {
		settings.Interval = settings.IdleInterval
		settings.MaxBackoff = max(settings.MaxBackoff, settings.IdleInterval)
	}
	return settings.Due(last)
}

// Close closes the source if it can be closed.
func (p pacedQueue) Close() error {
	if closer, ok := p.Source.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

// Poke has a workload's queue read because somebody says that there are messages
// in it: at once, unless that was said too often (now is false), and at its
// PollInterval for the next minute, however idle it is. known is false where the
// policy in force has no such workload, or it has no queue.
func (s *Sources) Poke(id metrics.ID) (now, known bool) {
	q, ok := s.held.Load().queues[id]
	if !ok || q.handle == nil {
		return false, false
	}
	q.activity.note()
	if q.activity.pokes.Allow() {
		q.handle.Poke()
		return true, true
	}
	q.handle.Reconsider()
	return false, true
}
