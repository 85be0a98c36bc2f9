package explorer

import (
	"fmt"

	"github.com/keda-headroom/headroom/scaler/gate"
)

// basis is what could be known when a plan was made, and renews what the world
// remembers of that leader.
func (w *world) basis(s *state, p *leader, d *decision, q *question) basis {
	b := basis{good: d.good, reading: q.reading}
	if !q.reading.known || s.now-q.reading.at > int32(maxReadingAge.Milliseconds()) {
		b.good = false
	} else {
		p.accepted = accept(p.accepted, s.now, q.reading)
		for _, x := range p.accepted {
			b.allowed = max(b.allowed, x.others)
		}
	}
	if !q.reading.known {
		return b
	}
	for i := range p.carried {
		now := w.granted(s, d, q, i, b.good)
		switch {
		case b.good:
			p.carried[i] = now
		case s.now-q.reading.at <= int32(maxReadingAge.Milliseconds()): // others were not watched for long enough
			p.carried[i] = max(p.carried[i], now)
		}
	}
	if b.good {
		p.acted, p.allowed = true, b.allowed
	}
	return b
}

// accept adds a reading to what is known of others, and forgets what is older than
// the window.
func accept(past []accepted, now int32, r sample) []accepted {
	out := make([]accepted, 0, len(past)+1)
	for _, x := range past {
		if x.others > r.others && now-x.at <= int32(window.Milliseconds()) {
			out = append(out, x)
		}
	}
	return append(out, accepted{r.at, r.others})
}

// granted is what a workload's pods may hold, as far as could be known or was the
// case, with what the plan adds if that counts.
func (w *world) granted(s *state, d *decision, q *question, workload int, adds bool) uint8 {
	total := uint8(0)
	for i, seed := range w.scene.Pods {
		if seed.Workload != workload {
			continue
		}
		most := uint8(0)
		perPod := uint8(w.scene.Editions[q.edition].PerPod[workload])
		for _, o := range []object{q.view[i], s.pods[i].object} {
			if o.present && (!o.gated || o.epoch != q.term) {
				most = max(most, o.grant, perPod)
			}
		}
		for _, m := range s.network {
			if int(m.pod) == i {
				most = max(most, perPod)
			}
		}
		for _, x := range d.writes {
			if adds && int(x.pod) == i {
				most = max(most, x.grant)
			}
		}
		if most > 0 {
			most = max(most, q.reading.conns[i], s.pods[i].conns)
		}
		total += most
	}
	return total
}

// check holds an admission that has just come true against the world: what pods
// past the gate may hold, by whomever they were let through, what outlived its pod,
// and what others were known to need, must fit under the limit and the reserve.
func (w *world) check(s *state, m message) string {
	b := m.basis
	if !b.good {
		workload := w.scene.Pods[m.pod].Workload
		held := uint8(0)
		for i := range s.pods {
			if p := &s.pods[i]; p.present && !p.gated && w.scene.Pods[i].Workload == workload {
				held += p.grant
			}
		}
		if held > b.carried {
			return fmt.Sprintf("%s was let through without a good reading: pods of its workload may hold %d, and may be replaced up to %d",
				w.scene.podName(int(m.pod)), held, b.carried)
		}
		return ""
	}
	pods, ghosts := uint8(0), uint8(0)
	for i := range s.pods {
		p := &s.pods[i]
		could := max(p.grant, b.reading.conns[i])
		switch {
		case p.present && !p.gated:
			pods += could
		case !p.present:
			// What it opened beyond that nobody could know.
			ghosts += min(p.conns, could)
		}
	}
	others := b.allowed
	for l := range s.leaders {
		// A patch that is late meets what its leader knew later: it counts all the same.
		if p := &s.leaders[l]; p.believes && p.acted {
			others = min(others, p.allowed)
		}
	}
	if int(pods+ghosts+others) > w.scene.Limit-w.scene.Reserve {
		return fmt.Sprintf("%s was let through over the budget: pods past the gate may hold %d, %d outlived their pods, others need %d, over %d − %d reserved",
			w.scene.podName(int(m.pod)), pods, ghosts, others, w.scene.Limit, w.scene.Reserve)
	}
	return ""
}

// order checks that a slot that is released for a pod waits for it: no plan lets a
// pod pass while one of a workload with a higher priority waits, once each has a pod.
func (w *world) order(s *state, d *decision, q *question) string {
	e := &w.scene.Editions[q.edition]
	passes := func(i int) bool {
		for _, x := range d.writes {
			if int(x.pod) == i && x.kind == gate.Admit {
				return true
			}
		}
		return false
	}
	waits := func(i int) bool {
		o := &q.view[i]
		return o.present && o.gated && !o.otherGates && o.epoch == q.term
	}
	stays := w.scene.Reserve + int(q.reading.others) // what is not leaving
	for i := range q.view {
		if o := &q.view[i]; o.present && !o.gated && !o.terminating {
			stays += int(o.grant)
		}
	}
	for first, a := range w.scene.Pods {
		if !waits(first) || passes(first) || stays+e.PerPod[a.Workload] > w.scene.Limit {
			continue
		}
		for second, b := range w.scene.Pods {
			if e.Priority[a.Workload] > e.Priority[b.Workload] && waits(second) && passes(second) && w.has(q, b.Workload) && s.pods[second].gated && !s.underWay(second) {
				return fmt.Sprintf("%s is let through while %s waits, which comes first", w.scene.podName(second), w.scene.podName(first))
			}
		}
	}
	return ""
}

// has reports whether a workload has a pod past the gate.
func (w *world) has(q *question, workload int) bool {
	for i, seed := range w.scene.Pods {
		if o := &q.view[i]; seed.Workload == workload && o.present && !o.gated && !o.terminating {
			return true
		}
	}
	return false
}

// underWay reports whether a write to a pod is on its way already.
func (s *state) underWay(pod int) bool {
	for _, m := range s.network {
		if int(m.pod) == pod {
			return true
		}
	}
	return false
}
