package explorer

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
)

// coarse is how finely the time since something is told apart, in milliseconds:
// every limit on ages lies between two jumps.
const coarse = 5000

// longAgo is when everything is equally long ago.
const longAgo = 12 // × coarse

// scribe writes states as bytes: all that can make a difference, and nothing else.
// Of two states with the same bytes everything that can happen is the same, but
// for when it does.
type scribe struct {
	out   []byte
	times []int32 // that matter by their order
	now   int32
	// steady is whether no reading grows too old.
	steady bool
}

func (e *scribe) flags(bits ...bool) {
	b := byte(0)
	for i, bit := range bits {
		if bit {
			b |= 1 << i
		}
	}
	e.out = append(e.out, b)
}

func (e *scribe) age(t int32) {
	e.out = append(e.out, byte(min(max(0, (e.now-t)/coarse), longAgo)))
}

// time writes when something was: how long ago, and in which order.
func (e *scribe) time(t int32) {
	i, _ := slices.BinarySearch(e.times, t)
	e.out = append(e.out, byte(i))
	e.age(t)
}

func (e *scribe) object(o *object) {
	e.flags(o.present, o.gated, o.otherGates, o.terminating, o.ready)
	e.out = append(e.out, o.version, o.epoch, o.mark, o.grant)
}

func (e *scribe) sample(x *sample) {
	if !x.known {
		e.out = append(e.out, 0xff)
		return
	}
	e.out = append(e.out, x.others)
	e.time(x.at)
	e.out = append(e.out, x.conns[:]...)
}

func (e *scribe) ledger(m *memo) {
	if m == nil {
		return
	}
	e.out = binary.LittleEndian.AppendUint64(e.out, m.text)
	for _, t := range m.fine {
		e.time(t)
	}
	for _, t := range m.coarse {
		e.age(t)
	}
}

func (e *scribe) accepted(past []accepted) {
	e.out = append(e.out, byte(len(past)))
	for _, x := range past {
		e.out = append(e.out, x.others)
		e.age(x.at)
	}
}

// order collects the times that matter by their order.
func (e *scribe) order(s *state) {
	e.times = e.times[:0]
	for l := range s.leaders {
		p := &s.leaders[l]
		if p.term == 0 {
			continue
		}
		if p.reading.known {
			e.times = append(e.times, p.reading.at)
		}
		if p.flying.known {
			e.times = append(e.times, p.flying.at)
		}
		if p.ledger != nil {
			e.times = append(e.times, p.ledger.fine...)
		}
	}
	if s.memory != nil {
		e.times = append(e.times, s.memory.fine...)
	}
	slices.Sort(e.times)
	e.times = slices.Compact(e.times)
}

func (e *scribe) leader(p *leader) {
	e.out = append(e.out, p.term, p.edition)
	if p.term == 0 {
		return
	}
	e.flags(p.believes, p.acted)
	e.out = append(e.out, p.behind, p.allowed)
	if !e.steady {
		e.out = append(e.out, p.carried[:]...)
	}
	e.sample(&p.reading)
	e.sample(&p.flying)
	e.ledger(p.ledger)
	e.accepted(p.accepted)
}

func (e *scribe) message(s *state, m *message) {
	e.out = binary.LittleEndian.AppendUint64(e.out, m.request)
	e.out = append(e.out, m.pod, m.term)
	b := &m.basis
	e.flags(b.promised, b.good)
	switch {
	case !b.promised:
	case !b.good:
		e.out = append(e.out, b.carried)
	default:
		e.out = append(e.out, b.allowed)
		for i := range s.pods {
			// Only what it held beyond its grant says more than the grant does.
			held := b.reading.conns[i]
			if held <= s.pods[i].grant {
				held = 0
			}
			e.out = append(e.out, held)
		}
	}
}

// hash tells states apart.
func (e *scribe) hash(w *world, s *state) uint64 {
	e.now, e.steady = s.now, w.budget[Jump] == 0
	e.order(s)
	var network uint64 // messages are in no order
	for i := range s.network {
		e.out = e.out[:0]
		e.message(s, &s.network[i])
		network += maphash.Bytes(seed, e.out)
	}
	e.out = binary.LittleEndian.AppendUint64(e.out[:0], network)
	for i := range w.scene.Pods {
		p := &s.pods[i]
		e.flags(p.born, p.double)
		e.out = append(e.out, p.conns)
		e.object(&p.object)
	}
	e.out = append(e.out, byte(len(s.events)))
	for i := range s.events {
		e.out = append(e.out, s.events[i].pod)
		e.object(&s.events[i].before)
	}
	for l := range s.leaders {
		e.leader(&s.leaders[l])
	}
	e.out = append(e.out, s.others, s.edition, s.terms, s.holder)
	e.ledger(s.memory)
	e.accepted(s.recalled)
	e.out = append(e.out, s.spent[:]...)
	return maphash.Bytes(seed, e.out)
}
