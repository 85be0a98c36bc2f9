package forecast

import (
	"context"
	"fmt"
	"time"

	"github.com/keda-headroom/headroom/internal/arrivals"
)

// run is a world being played.
type run struct {
	world   World
	base    time.Time // what simulated time 0 is
	now     time.Duration
	timers  agenda[func()]
	work    agenda[job]
	stream  *arrivals.Stream
	queue   queue
	idle    ring[*pod] // idle slots
	servers []*server

	pods    []*pod
	made    int
	spec    int
	gates   bool // pods are made with the gate
	changed int  // counts changes of pods and of spec

	next      time.Duration // when the next message comes
	more      bool
	number    uint64 // of the next message
	done      uint64
	kept      uint64
	inFlight  int
	returned  uint64
	ages      Ages
	firstAt   time.Duration
	lastDone  time.Duration
	busySince time.Duration // since when messages wait
	longest   time.Duration // for which messages waited without a break

	podTime, workTime, fullTime time.Duration
	changes, turns, peakPods    int
	rising                      bool
	calls                       Calls

	minute  minute
	samples *sampler
}

// job is a message in work.
type job struct {
	item
	pod *pod
}

// Run plays a world for one contender. It ends when all messages are done, at the
// trace's end or later, and at the latest after the world's patience. ctx ends it
// early, with an error.
func Run(ctx context.Context, w World, c Contender) (Outcome, error) {
	if err := w.Check(); err != nil {
		return Outcome{}, err
	}
	r := &run{world: w, base: w.Arrivals.Start.UTC().Truncate(time.Minute), stream: w.Arrivals.Stream(w.Scale, w.Seed), firstAt: -1}
	r.samples = newSampler(w.Arrivals.Length())
	for _, s := range w.Servers {
		r.servers = append(r.servers, &server{Server: s})
	}
	for _, v := range r.servers {
		r.live(v)
	}
	scaler, err := c.scaler(r)
	if err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", c.Name, err)
	}
	r.spec = scaler.replicas()
	for range r.spec {
		r.start(r.newPod(false)) // they were there before
	}
	r.peakPods = r.spec
	r.everyMinute()
	scaler.begin()
	r.next, r.more = r.stream.Next()
	if err := r.play(ctx); err != nil {
		return Outcome{}, err
	}
	return r.outcome(c.Name, scaler), nil
}

// at plans something.
func (r *run) at(when time.Duration, what func()) { r.timers.add(max(when, r.now), what) }

// every does something now and then again and again.
func (r *run) every(first, interval time.Duration, what func()) {
	r.at(first, func() {
		what()
		r.every(r.now+interval, interval, what)
	})
}

// play lets time pass.
func (r *run) play(ctx context.Context) error {
	end := r.world.Arrivals.Length()
	last := end + r.world.Patience
	for steps := 0; ; steps++ {
		if steps%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if !r.more && r.queue.len() == 0 && r.inFlight == 0 && r.now >= end {
			return nil
		}
		at, what := last, nothing
		if t, ok := r.timers.first(); ok && t < at {
			at, what = t, timer
		}
		if t, ok := r.work.first(); ok && t < at {
			at, what = t, completion
		}
		if r.more && r.next < at {
			at, what = r.next, arrival
		}
		if !r.more && r.queue.len() == 0 && r.inFlight == 0 && at > end {
			r.advance(end)
			return nil
		}
		r.advance(at)
		switch what {
		case timer:
			r.timers.take()()
		case completion:
			r.complete(r.work.take())
		case arrival:
			r.arrive()
		default:
			return nil
		}
	}
}

type event int

const (
	nothing event = iota
	timer
	completion
	arrival
)

// advance moves the clock.
func (r *run) advance(at time.Duration) {
	for r.samples.due <= at {
		r.samples.close(r)
	}
	r.now = at
}

func (r *run) arrive() {
	if r.firstAt < 0 {
		r.firstAt = r.now
	}
	if r.queue.len() == 0 {
		r.busySince = r.now
	}
	r.queue.push(item{r.number, r.now})
	r.number++
	r.minute.sent++
	r.samples.arrived++
	r.next, r.more = r.stream.Next()
	r.dispatch()
}

// dispatch gives waiting messages to idle slots.
func (r *run) dispatch() {
	waited := r.queue.len() > 0
	for r.queue.len() > 0 && r.idle.n > 0 {
		p := r.idle.pop()
		p.listed--
		if p.gone || p.terminating || p.busy >= p.slots {
			continue
		}
		m := r.queue.pop()
		p.busy++
		r.full(p)
		r.inFlight++
		r.minute.received++
		r.work.add(r.now+r.world.Service.At(r.world.Seed, m.number), job{m, p})
	}
	if waited && r.queue.len() == 0 {
		r.longest = max(r.longest, r.now-r.busySince)
	}
}

func (r *run) complete(j job) {
	p := j.pod
	if p.gone {
		return // it was killed, and the message is back in the queue
	}
	r.unfull(p)
	p.busy--
	r.inFlight--
	r.done++
	r.lastDone = r.now
	age := r.now - j.at
	r.ages.add(age)
	if r.world.Objective > 0 && age <= r.world.Objective {
		r.kept++
	}
	r.minute.deleted++
	r.minute.oldest = max(r.minute.oldest, age)
	r.samples.age = max(r.samples.age, age)
	if p.terminating {
		if p.busy == 0 {
			r.remove(p)
		}
		return
	}
	r.offer(p)
	r.dispatch()
}

// live lets others come and go on a server.
func (r *run) live(v *server) {
	for _, l := range v.Others {
		if l.At == 0 {
			v.want(0, l.Connections)
			continue
		}
		r.at(l.At, func() {
			v.want(r.now, l.Connections)
			r.retry(v)
		})
	}
	r.retry(v)
}

// retry lets others try again for what they were refused.
func (r *run) retry(v *server) {
	if v.retries || v.others >= v.wanted {
		return
	}
	v.retries = true
	r.at(r.now+othersRetry, func() {
		v.retries = false
		v.want(r.now, v.wanted)
		r.retry(v)
	})
}
