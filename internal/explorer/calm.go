package explorer

import "fmt"

// rounds is how often a leader plans after everything has calmed down, five seconds
// apart: until others have been watched for a window anew, and then some.
const rounds = 14

// calm lets everything that is on its way arrive and everybody do what they have to
// do, and returns what is wrong then: that a pod waits for what is free.
func (w *world) calm(from *state) string {
	_, problem := w.settle(from)
	return problem
}

// settle is the state that everything comes to, and what is wrong with it.
func (w *world) settle(from *state) (*state, string) {
	s := *from
	now := &s
	if !now.leaders[now.holder].believes {
		w.acquire(now, Move{Leader: now.holder})
	}
	p := &now.leaders[now.holder]
	p.edition = now.edition
	now.others = min(now.others, uint8(w.scene.Others))
	for range rounds {
		for len(now.network) > 0 {
			m := now.network[0]
			next, problem := w.land(now, Move{Kind: Land, Pod: m.pod, Term: m.term, Write: w.decider.library.kind(m.request)})
			if problem != "" {
				return next, problem
			}
			now = next
		}
		for i := range w.scene.Pods {
			w.finish(now, i)
		}
		now.now += 5000
		p = &now.leaders[now.holder]
		p.behind, p.reading, p.flying = 0, now.sample(), sample{}
		if _, problem := w.act(now, now.holder); problem != "" {
			return now, problem
		}
	}
	if len(now.network) > 0 {
		return now, fmt.Sprintf("still not at rest after %d calm rounds: %s", rounds, w.picture(now))
	}
	return now, w.used(now)
}

// finish lets a pod do what it is about to do.
func (w *world) finish(s *state, i int) {
	p := &s.pods[i]
	switch {
	case !p.present:
		p.conns = 0
	case p.gated:
	case p.terminating:
		p.conns, p.double = 0, false
		w.write(s, i, func(o *object) { o.present = false })
	default:
		p.conns, p.double = p.grant, false
		w.write(s, i, func(o *object) { o.ready = true })
	}
}

// used returns which pod waits though there is room for it and for everybody else
// who waits.
func (w *world) used(s *state) string {
	perPod := w.scene.Editions[0].PerPod
	for _, e := range w.scene.Editions {
		if e.PerPod != perPod || s.spent[Restart] > 0 {
			return "" // what a pod was counted as once is counted while it lives
		}
	}
	room := w.scene.Limit - w.scene.Reserve - int(s.others)
	largest, waits := 0, ""
	for i, seed := range w.scene.Pods {
		p := &s.pods[i]
		if !p.present {
			continue
		}
		if !p.gated {
			room -= int(p.grant)
			continue
		}
		if cost := w.scene.Editions[s.edition].PerPod[seed.Workload]; !p.otherGates && cost > largest {
			largest, waits = cost, w.scene.podName(i)
		}
	}
	if waits != "" && largest <= room {
		return fmt.Sprintf("%s waits for ever, for %d connections of %d that are free", waits, largest, room)
	}
	return ""
}
