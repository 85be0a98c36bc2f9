package explorer

import (
	"fmt"

	"github.com/keda-headroom/headroom/scaler/gate"
)

// Kind is a kind of move.
type Kind uint8

// The kinds of moves. Whatever takes time in the world is two moves or more, with
// any others between them.
const (
	// Act: a leader's watch shows it some more writes, or none; it makes a plan by
	// what it knows, asks whether its lease is valid, and sends what the plan wants.
	Act Kind = iota
	// ActNew is Act after the reading that was taken last has arrived.
	ActNew
	// Read: the server answers a leader's query; the answer arrives later.
	Read
	// Land: the API server gets to a write that was sent, by whomever and whenever.
	// Whether anybody hears of its answer makes no difference.
	Land
	// Acquire: a process becomes the leader, in a new term, and lists all pods;
	// its watch shows each of them, maybe as it was before the last writes. It may
	// be the one that led before: then it remembers, and its lease had lapsed.
	Acquire
	// Crash: a process forgets everything, and comes back as a follower.
	Crash
	// Create: a controller makes a pod.
	Create
	// Open: a pod past the gate opens its connections.
	Open
	// Ready: its address and its readiness are written down.
	Ready
	// Delete: somebody deletes a pod; past the gate it has its grace.
	Delete
	// End: a terminating pod has closed its connections and is gone.
	End
	// EndOpen: it is gone, and the server has not noticed.
	EndOpen
	// Force: a pod is deleted by force, and its process goes on.
	Force
	// Close: the server closes what outlived its pod.
	Close
	// Restart: a container restarts in mid-query, and holds two pools.
	Restart
	// Settle: the server has closed the first one.
	Settle
	// Edit: the next edition of the policy is in force.
	Edit
	// Learn: a leader hears of it.
	Learn
	// Spike and Calm: others open connections, and close them again.
	Spike
	Calm
	// Jump: time passes, longer than a reading may be old.
	Jump
	moveKinds
)

var kindNames = [moveKinds]string{"Act", "ActNew", "Read", "Land", "Acquire", "Crash", "Create", "Open", "Ready", "Delete",
	"End", "EndOpen", "Force", "Close", "Restart", "Settle", "Edit", "Learn", "Spike", "Calm", "Jump"}

func (k Kind) String() string { return kindNames[k] }

// Move is one move. Which of the fields say something depends on Kind.
type Move struct {
	Kind   Kind
	Leader uint8     // Act, ActNew, Read, Acquire, Crash, Learn
	Behind uint8     // Acquire: how many writes its watch has not seen
	Pod    uint8     // Land, and whatever befalls a pod
	Write  gate.Kind // Land
	Term   uint8     // Land
	Nth    uint8     // Land: among those of one kind, pod and term, by age
}

// world plays moves in a scene.
type world struct {
	scene   *Scene
	decider *decider
	budget  [moveKinds]int8 // -1 without bound
	// haunted is whether a leader can send anything after its lease.
	haunted bool
}

func newWorld(s *Scene) *world {
	w := &world{scene: s, decider: newDecider(s), haunted: (gate.Action{Term: epochText(1, 0), Planned: epoch}).May("", epoch)}
	for k := range moveKinds {
		if n, ok := s.Moves[k]; ok {
			w.budget[k] = int8(n)
		}
	}
	return w
}

// start is the world at first: the first leader has just become one, and its
// first reading is there.
func (w *world) start() *state {
	s := &state{others: uint8(w.scene.Others), terms: 1, holder: 0, memory: w.decider.watched()}
	s.recalled = []accepted{{at: 0, others: s.others}}
	for i, p := range w.scene.Pods {
		if p.Absent {
			continue
		}
		w.create(s, i)
		o := &s.pods[i].object
		if p.Fenced {
			o.epoch = 1
			o.version++
		}
		if p.Running > 0 {
			o.gated, o.grant, o.ready = false, uint8(p.Running), true
			o.version++
			s.pods[i].conns = o.grant
		}
	}
	s.events = nil
	s.leaders[0] = leader{term: 1, believes: true, ledger: s.memory, accepted: s.recalled}
	s.now = 1
	s.leaders[0].reading = s.sample()
	return s
}

func (w *world) create(s *state, i int) {
	s.pods[i].born = true
	w.write(s, i, func(o *object) {
		o.present, o.gated, o.otherGates = true, true, w.scene.Pods[i].OtherGates
	})
}

func (w *world) write(s *state, i int, change func(o *object)) { s.write(i, w.scene.Behind, change) }

// moves appends every move that can be made in s.
func (w *world) moves(s *state, out []Move) []Move {
	can := func(k Kind) bool { return w.budget[k] < 0 || int8(s.spent[k]) < w.budget[k] }
	add := func(m Move) {
		if can(m.Kind) {
			out = append(out, m)
		}
	}
	for l := range uint8(leaders) {
		p := &s.leaders[l]
		if p.term > 0 {
			behind := p.behind
			if s.holder != l {
				behind = 0
			}
			for k := range behind + 1 {
				add(Move{Kind: Act, Leader: l, Behind: k})
				if p.flying.known {
					add(Move{Kind: ActNew, Leader: l, Behind: k})
				}
			}
			if p.edition < s.edition {
				add(Move{Kind: Learn, Leader: l})
			}
			if s.holder == l {
				add(Move{Kind: Read, Leader: l})
			}
			add(Move{Kind: Crash, Leader: l})
		}
		if can(Acquire) {
			if l > 0 && s.leaders[0].term == 0 && p.term == 0 && p.edition == s.leaders[0].edition {
				continue // two that know nothing are as one
			}
			for k := range uint8(len(s.events)) + 1 {
				if p.term > 0 && s.holder == l && k > p.behind {
					break // what it has seen it does not forget
				}
				if w.complete(s, k) {
					add(Move{Kind: Acquire, Leader: l, Behind: k})
				}
			}
		}
	}
	for i, m := range s.network {
		nth := uint8(0)
		for _, other := range s.network[:i] {
			if other.pod == m.pod && other.term == m.term && w.decider.library.kind(other.request) == w.decider.library.kind(m.request) {
				nth++
			}
		}
		add(Move{Kind: Land, Pod: m.pod, Write: w.decider.library.kind(m.request), Term: m.term, Nth: nth})
	}
	for i := range w.scene.Pods {
		p := &s.pods[i]
		m := func(k Kind) { add(Move{Kind: k, Pod: uint8(i)}) }
		switch {
		case !p.born:
			m(Create)
		case p.ghost():
			m(Close)
		case !p.present:
		case p.gated:
			if p.otherGates {
				break
			}
			m(Delete)
		default:
			if p.conns < p.grant && !p.double {
				m(Open)
			}
			if !p.ready && !p.terminating {
				m(Ready)
			}
			if p.terminating {
				m(End)
				if p.conns > 0 {
					m(EndOpen)
				}
			} else {
				m(Delete)
			}
			m(Force)
			if p.double {
				m(Settle)
			} else if p.conns > 0 {
				m(Restart)
			}
		}
	}
	if int(s.edition)+1 < len(w.scene.Editions) {
		add(Move{Kind: Edit})
	}
	if int(s.others) < w.scene.Spike && s.free(w.scene.Limit) >= w.scene.Spike-int(s.others) {
		add(Move{Kind: Spike})
	}
	if int(s.others) > w.scene.Others {
		add(Move{Kind: Calm})
	}
	add(Move{Kind: Jump})
	return out
}

// complete reports whether a watch that has not seen the last events shows every
// pod that there is.
func (w *world) complete(s *state, behind uint8) bool {
	if unlisted() {
		return true
	}
	view := s.view(behind)
	for i := range s.pods {
		if s.pods[i].present && !view[i].present {
			return false
		}
	}
	return true
}

// play makes a move in a copy of s. It returns nil where that changes nothing, and
// says what the move broke, "" if nothing.
func (w *world) play(s *state, m Move) (*state, string) {
	next := *s
	n := &next
	if w.budget[m.Kind] >= 0 {
		n.spent[m.Kind]++
	}
	p := &n.leaders[m.Leader]
	pod := &n.pods[m.Pod]
	switch m.Kind {
	case ActNew:
		p.reading, p.flying, p.behind = p.flying, sample{}, m.Behind
		return w.act(n, m.Leader)
	case Act:
		p.behind = m.Behind
		return w.act(n, m.Leader)
	case Read:
		if p.ledger.latest() >= n.now {
			n.now++ // it begins after whatever was noted before
		}
		p.flying = n.sample()
	case Land:
		return w.land(n, m)
	case Acquire:
		w.acquire(n, m)
	case Crash:
		*p = leader{edition: p.edition}
	case Create:
		w.create(n, int(m.Pod))
	case Open:
		pod.conns = min(pod.grant, pod.conns+uint8(n.free(w.scene.Limit)))
		if pod.conns == s.pods[m.Pod].conns {
			return nil, ""
		}
	case Ready:
		w.write(n, int(m.Pod), func(o *object) { o.ready = true })
	case Delete:
		w.remove(n, int(m.Pod))
	case End:
		pod.conns, pod.double = 0, false
		w.write(n, int(m.Pod), func(o *object) { o.present = false })
	case EndOpen, Force:
		pod.double = false
		w.write(n, int(m.Pod), func(o *object) { o.present = false })
	case Close:
		pod.conns = 0
	case Restart:
		pod.conns += min(pod.grant, uint8(n.free(w.scene.Limit)))
		pod.double = true
	case Settle:
		pod.conns, pod.double = min(pod.conns, pod.grant), false
	case Edit:
		n.edition++
	case Learn:
		p.edition = n.edition
	case Spike:
		n.others = uint8(w.scene.Spike)
	case Calm:
		n.others = uint8(w.scene.Others)
	case Jump:
		n.now += int32(jump.Milliseconds())
	case moveKinds:
	}
	return n, ""
}

// remove deletes a pod: one at the gate is gone at once.
func (w *world) remove(s *state, i int) {
	w.write(s, i, func(o *object) {
		if o.gated {
			o.present = false
		} else {
			o.terminating = true
		}
	})
}

func (w *world) acquire(s *state, m Move) {
	p := &s.leaders[m.Leader]
	again := p.term > 0 && s.holder == m.Leader // nobody else led in between: the process goes on
	for l := range s.leaders {
		s.leaders[l].believes = false
	}
	s.terms++
	if !again {
		*p = leader{edition: p.edition, ledger: s.memory, accepted: s.recalled}
	}
	p.term, p.believes, p.behind = s.terms, true, m.Behind
	s.holder = m.Leader
}

// question is all that a leader's plan depends on.
func (s *state) question(l uint8) question {
	p := &s.leaders[l]
	behind := p.behind
	if s.holder != l { // a leader that was, and that still acts: it sees everything
		behind = 0
	}
	return question{now: s.now, ledger: p.ledger, view: s.view(behind), reading: p.reading, edition: p.edition, term: p.term, leads: p.believes}
}

// act lets a leader make a plan, and send what it wants.
func (w *world) act(s *state, l uint8) (*state, string) {
	p := &s.leaders[l]
	q := s.question(l)
	d := w.decider.decide(q)
	if len(d.writes) == 0 && !p.believes {
		return nil, "" // it changes nothing but what it will forget
	}
	s.memory, s.recalled = d.memory, p.accepted
	b := w.basis(s, p, d, &q)
	p.ledger = d.ledger
	problem := w.order(s, d, &q)
	for _, x := range d.writes {
		m := message{request: x.requests, pod: x.pod, from: l, term: p.term}
		if x.kind == gate.Admit {
			m.basis = b
			m.basis.promised = x.promised
			m.basis.carried = p.carried[w.scene.Pods[x.pod].Workload]
		}
		s.send(m, w.scene.Flying)
	}
	return s, problem
}

// land lets a write come true, if it still can.
func (w *world) land(s *state, move Move) (*state, string) {
	i := w.find(s, move)
	if i < 0 {
		return nil, ""
	}
	m := s.network[i]
	s.drop(i)
	p := &s.pods[m.pod]
	out := w.decider.library.land(m.request, m.pod, p.object)
	if !out.ok {
		if out.next != 0 {
			m.request = out.next
			s.send(m, w.scene.Flying)
		}
		return s, ""
	}
	if out.remove {
		w.remove(s, int(m.pod))
		return s, ""
	}
	passed := p.gated && !out.after.gated
	w.write(s, int(m.pod), func(o *object) {
		version := o.version
		*o = out.after
		o.version = version
	})
	if passed && m.basis.promised {
		return s, w.check(s, m)
	}
	return s, ""
}

// find returns the index of the message that a move lands, -1 where there is none.
func (w *world) find(s *state, move Move) int {
	nth := move.Nth
	for i, m := range s.network {
		if m.pod == move.Pod && m.term == move.Term && w.decider.library.kind(m.request) == move.Write {
			if nth == 0 {
				return i
			}
			nth--
		}
	}
	return -1
}

// dead reports whether a message can't come true any more: what a write is refused
// for it is refused for always.
func (w *world) dead(s *state, m message) bool {
	out := w.decider.library.land(m.request, m.pod, s.pods[m.pod].object)
	return !out.ok && out.next == 0
}

// Describe tells a move to a person.
func (m Move) Describe(s *Scene) string {
	pod := ""
	if int(m.Pod) < len(s.Pods) {
		pod = s.podName(int(m.Pod))
	}
	switch m.Kind {
	case Read, Crash, Learn:
		return fmt.Sprintf("%s leader %d", m.Kind, m.Leader)
	case Act, ActNew, Acquire:
		return fmt.Sprintf("%s leader %d, %d behind", m.Kind, m.Leader, m.Behind)
	case Land:
		return fmt.Sprintf("%s %s of %s, term %d, number %d", m.Kind, m.Write, pod, m.Term, m.Nth)
	case Edit, Spike, Calm, Jump:
		return m.Kind.String()
	default:
		return fmt.Sprintf("%s %s", m.Kind, pod)
	}
}
