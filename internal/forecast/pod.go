package forecast

import (
	"fmt"
	"time"

	"github.com/keda-headroom/headroom/internal/kedasim"
)

// pod is one worker.
type pod struct {
	number  int
	uid     string
	address string
	created time.Duration

	gated   bool
	version int
	epoch   string
	grant   map[string]int

	started     bool // its process runs
	terminating bool
	gone        bool
	conns       []int // by server
	refused     int   // logins in a row
	slots       int   // messages that it may work on now
	busy        int
	listed      int           // how often it stands among the idle
	began       time.Duration // when its process started
	fullSince   time.Duration // since when it has no slot free
	passed      time.Duration // since when it takes a node
}

// usable is how many messages a pod with these connections can work on: each needs
// one of every server, unless more are worked on than there are connections.
func (r *run) usable(p *pod) int {
	n := r.world.Concurrency
	for i, v := range r.servers {
		if r.world.Concurrency <= v.PerPod {
			n = min(n, p.conns[i])
		} else {
			n = min(n, r.world.Concurrency*p.conns[i]/v.PerPod)
		}
	}
	return n
}

func (p *pod) ready() bool { return p.started && p.slots > 0 }

func (r *run) newPod(gated bool) *pod {
	r.made++
	p := &pod{
		number: r.made, uid: fmt.Sprintf("worker-%d", r.made), address: fmt.Sprintf("10.%d.%d.%d", r.made>>16&255, r.made>>8&255, r.made&255),
		created: r.now, passed: r.now, gated: gated, version: 1, conns: make([]int, len(r.servers)),
	}
	r.pods = append(r.pods, p)
	r.changed++
	return p
}

// create makes a pod; where it waits at the gate it takes no node.
func (r *run) create(gated bool) {
	p := r.newPod(gated)
	if !gated {
		r.pass(p)
	}
}

// pass lets a pod have a node: from now on it costs, and in a while it works.
func (r *run) pass(p *pod) {
	p.gated, p.passed = false, r.now
	r.peakPods = max(r.peakPods, r.running())
	p.version++
	r.changed++
	r.at(r.now+r.world.StartUp, func() { r.start(p) })
}

// start opens a pod's connections.
func (r *run) start(p *pod) {
	if p.terminating || p.gone {
		return
	}
	p.started, p.began, p.fullSince = true, r.now, r.now
	p.version++
	r.changed++
	r.connect(p)
}

const (
	firstBackoff, longestBackoff = 500 * time.Millisecond, 4 * time.Second
	othersRetry                  = 500 * time.Millisecond
)

// connect opens the connections that a pod lacks, and tries again later where it is
// refused.
func (r *run) connect(p *pod) {
	if p.gone || p.terminating {
		return
	}
	missing := 0
	for i, v := range r.servers {
		got := v.open(r.now, v.PerPod-p.conns[i])
		p.conns[i] += got
		lacks := v.PerPod - p.conns[i]
		v.refusedWorkers += int64(lacks)
		missing += lacks
	}
	if slots := r.usable(p); slots != p.slots {
		r.unfull(p)
		p.slots = slots
		r.full(p)
		p.version++
		r.changed++
		r.offer(p)
		r.dispatch()
	}
	if missing == 0 {
		p.refused = 0
		return
	}
	wait := min(firstBackoff<<min(p.refused, 3), longestBackoff)
	p.refused++
	jitter := time.Duration(float64(wait) * (0.5 + uniform(r.world.Seed^0x7265747279, uint64(p.number)<<20+uint64(p.refused))))
	r.at(r.now+jitter, func() { r.connect(p) })
}

// offer lists a pod's free slots among the idle.
func (r *run) offer(p *pod) {
	for p.started && !p.terminating && p.listed < p.slots-p.busy {
		p.listed++
		r.idle.push(p)
	}
}

// full and unfull keep count of how long pods had no slot free, in which they do
// not ask the queue.
func (r *run) full(p *pod) {
	if p.busy >= p.slots {
		p.fullSince = r.now
	}
}

func (r *run) unfull(p *pod) {
	if p.started && p.busy >= p.slots {
		r.fullTime += r.now - p.fullSince
	}
}

// terminate tells a pod to go.
func (r *run) terminate(p *pod) {
	if p.terminating || p.gone {
		return
	}
	p.terminating = true
	p.version++
	r.changed++
	if p.busy == 0 {
		r.remove(p)
		return
	}
	r.at(r.now+r.world.Grace, func() { r.kill(p) })
}

// kill ends a pod whose grace is over: what it worked on goes back.
func (r *run) kill(p *pod) {
	if p.gone {
		return
	}
	for _, t := range r.work.queue {
		if t.what.pod == p {
			r.queue.putBack(t.what.item)
			r.inFlight--
			r.returned++
		}
	}
	p.busy = 0
	r.remove(p)
	r.dispatch()
}

// remove takes a pod from the cluster, with its connections.
func (r *run) remove(p *pod) {
	p.gone = true
	r.changed++
	for i, v := range r.servers {
		v.close(r.now, p.conns[i])
	}
	if !p.gated {
		r.podTime += r.now - p.passed
		if p.started {
			r.workTime += r.now - p.began
		}
	}
	for i, other := range r.pods {
		if other == p {
			r.pods = append(r.pods[:i], r.pods[i+1:]...)
			break
		}
	}
}

// scale makes n what spec.replicas is, and lets pods come and go until it is so.
func (r *run) scale(n int) {
	if n != r.spec {
		up := n > r.spec
		if r.changes > 0 && up != r.rising {
			r.turns++
		}
		r.rising = up
		r.changes++
		r.changed++
	}
	r.spec = n
	r.reconcile()
}

// reconcile is the Deployment's controller: of pods that are too many those at the
// gate go first, then those that don't work yet, then the youngest.
func (r *run) reconcile() {
	living := r.living()
	for ; living < r.spec; living++ {
		r.create(r.gates)
	}
	for ; living > r.spec; living-- {
		r.terminate(r.leastUseful())
	}
}

// living counts the pods that are not terminating: status.replicas.
func (r *run) living() int {
	n := 0
	for _, p := range r.pods {
		if !p.terminating {
			n++
		}
	}
	return n
}

func (r *run) leastUseful() *pod {
	var out *pod
	rank := func(p *pod) int {
		switch {
		case p.gated:
			return 0
		case !p.ready():
			return 1
		}
		return 2
	}
	for _, p := range r.pods {
		if p.terminating {
			continue
		}
		if out == nil || rank(p) < rank(out) || rank(p) == rank(out) && p.number > out.number {
			out = p
		}
	}
	return out
}

// executorFor is KEDA's part in scaling the world's ScaledObject.
func executorFor(w World, most int) *kedasim.Executor {
	return kedasim.NewExecutor(kedasim.ScaledObject{MinReplicaCount: w.MinReplicas, MaxReplicaCount: most})
}
