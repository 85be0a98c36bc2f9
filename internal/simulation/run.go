package simulation

import (
	"fmt"
	"time"
)

// Report is the outcome of a run.
type Report struct {
	Seed uint64
	// Violations are decisions that promised what was not there, or kept what
	// nobody used. A correct Headroom has none, whatever the schedule.
	Violations []string
	// Admissions and Raises count what was checked: pods let through the gate,
	// and replicas raised by the HPA.
	Admissions, Raises int
	// Late counts the admissions that came true more than ten seconds after they
	// were sent, Overtaken those that did so in a later term.
	Late, Overtaken int
	// Terms counts how often somebody began to lead, Evictions the pods taken away.
	Terms, Evictions int
	// RefusedWorkers and RefusedOthers count connections that the server turned
	// away, for whatever cause.
	RefusedWorkers, RefusedOthers int
}

// Run plays a schedule to its end, or to its first violation.
func Run(s Schedule) Report {
	w := newWorld(s)
	c := &check{w: w}
	end := w.start.Add(s.Length)
	calm := end.Add(s.Calm)
	done := make([]bool, len(s.Events))
	for step := 0; (w.now.Before(calm) || (c.moving() || c.pending()) && w.now.Before(calm.Add(s.Calm))) && len(c.violations) == 0; step++ {
		w.step()
		for i, e := range s.Events {
			if !done[i] && w.now.Sub(w.start) >= e.At {
				done[i] = true
				w.happen(e)
			}
		}
		if w.now.After(end) {
			w.calm(s)
		}
		w.remember()
		for _, h := range w.processes {
			h.elect()
			h.observe()
			if step%2 == 0 {
				h.decide()
				h.stop()
			}
		}
		for _, d := range w.fleets {
			w.scale(d)
		}
		c.apply()
	}
	if len(c.violations) == 0 {
		c.settled()
	}
	return Report{Seed: s.Seed, Violations: c.violations, Admissions: c.admissions, Raises: c.raises, Late: c.late, Overtaken: c.overtaken, Evictions: c.evictions, Terms: w.lease.terms,
		RefusedWorkers: w.refusedWorkers, RefusedOthers: w.refusedOthers}
}

// calm gives everybody work without end and others a steady need, so that what
// should settle can settle.
func (w *world) calm(s Schedule) {
	w.wanted = s.OthersStart
	w.others = min(w.others, w.wanted)
	for _, d := range w.fleets {
		d.backlog = 1e6
	}
}

// happen lets an event befall the world.
func (w *world) happen(e Event) {
	d := w.fleets[e.Fleet]
	until := w.now.Add(e.For)
	switch e.Kind {
	case OthersMove:
		w.wanted = e.N
	case Burst:
		d.backlog += float64(e.N)
	case Drain:
		d.backlog = 0
	case ForceDelete, Evict:
		if w.now.Before(w.apiAway) {
			return
		}
		for i, p := range d.pods {
			if p.started(w.now) {
				w.disturb(d)
				if e.Kind == ForceDelete {
					w.forceDelete(d, i, e.For)
				} else if p.until.IsZero() {
					w.terminate(d, p)
				}
				break
			}
		}
	case Rollout:
		d.revision++
	case DatabaseAway:
		w.dbAway = until
	case QueueAway:
		w.queueAway[e.Fleet] = until
	case APIAway:
		w.apiAway = until
	case Restart:
		w.kill(until)
	case RestartBare:
		w.kill(until)
		w.written = written{}
	case Pause:
		if h := w.leader(); h != nil {
			h.pauseFor = e.For
		}
	case MonitorKicked:
		for _, h := range w.processes {
			h.kicked = true
		}
	case ServerRestart:
		w.server = fmt.Sprintf("server at %s", w.now)
		w.limit, w.others, w.ghosts = e.N, 0, nil
		for _, f := range w.fleets {
			for _, p := range f.pods {
				p.conns = 0
			}
		}
	case Demoted:
		w.demoted = until
	case eventKinds:
	}
}

// leader is the process that has the lease, nil where none has.
func (w *world) leader() *headroom {
	for _, h := range w.processes {
		if h.leads && w.lease.holder == h.id {
			return h
		}
	}
	return nil
}

// kill ends the leader. One that is alone need not wait for its own lease to end:
// whoever restarts it ends it in an orderly way.
func (w *world) kill(until time.Time) {
	h := w.leader()
	if h == nil {
		return
	}
	h.restart(until)
	if len(w.processes) == 1 {
		w.lease.holder = -1
	}
}
