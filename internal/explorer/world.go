package explorer

// Bounds of every world, whatever the scene.
const (
	maxPods   = 4
	workloads = 2
	leaders   = 2
)

// object is a pod as the API server has it.
type object struct {
	present     bool
	version     uint8 // of this pod; grows with each write that changes it
	gated       bool
	otherGates  bool
	terminating bool
	ready       bool  // and its address is known
	epoch       uint8 // the term in its annotation, 0 for none
	mark        uint8 // the version behind the term in its annotation, 0 for none
	grant       uint8 // connections in its annotation, 0 for none
}

// pod is a pod and its process.
type pod struct {
	object
	born bool // it is, or was, there
	// conns is what its process holds at the server, also when the object is gone.
	conns uint8
	// double is true while a container that restarted holds two pools.
	double bool
}

// ghost reports whether the process outlives its object.
func (p *pod) ghost() bool { return p.born && !p.present && p.conns > 0 }

// event is one write to one pod: what the pod was before. A watch that has not
// seen it shows that.
type event struct {
	pod    uint8
	before object
}

// sample is what the server held at one moment.
type sample struct {
	known  bool
	at     int32
	others uint8
	conns  [maxPods]uint8
}

// message is a write on its way to the API server.
type message struct {
	request uint64 // which, see [library]
	pod     uint8
	from    uint8
	term    uint8
	basis   basis
}

// basis is what the plan behind an admission rests on, as far as could be known.
type basis struct {
	promised bool // by the rule; false where the policy lets everybody pass
	good     bool // there was a reading that is young enough
	reading  sample
	allowed  uint8 // what others need at most
	carried  uint8 // without a good reading: what the workload may hold
}

// accepted is others at a reading that a leader accepted.
type accepted struct {
	at     int32
	others uint8
}

// leader is one process of Headroom.
type leader struct {
	term     uint8 // of its candidacy, 0 for a follower
	believes bool  // its lease is valid by its own clock
	behind   uint8 // events that its watch has not seen
	edition  uint8 // of the policy, as it knows it
	reading  sample
	flying   sample // a reading that is taken and not delivered
	ledger   *memo
	accepted []accepted // within the window, others falling in size
	acted    bool       // it has made a plan by a good reading
	allowed  uint8      // what others need at most, by that
	carried  [workloads]uint8
}

// state is the whole world at one instant. States are values: a move makes a new
// one and shares what it leaves alone.
type state struct {
	now      int32 // milliseconds
	pods     [maxPods]pod
	events   []event // the last ones, oldest first
	leaders  [leaders]leader
	network  []message
	others   uint8
	edition  uint8 // of the policy
	terms    uint8 // so far
	holder   uint8 // who acquired the lease last
	memory   *memo // what was written down
	recalled []accepted
	spent    [moveKinds]uint8
}

// write changes a pod's object and tells the watches.
func (s *state) write(i int, maxBehind int, change func(o *object)) {
	before := s.pods[i].object
	after := before
	change(&after)
	if after == before {
		return // the API server gives what does not change no new version
	}
	after.version++
	s.pods[i].object = after
	events := s.events
	if len(events) >= maxBehind {
		events = events[len(events)-maxBehind+1:]
	}
	s.events = append(append(make([]event, 0, len(events)+1), events...), event{uint8(i), before})
	for l := range s.leaders {
		if s.leaders[l].term > 0 && int(s.holder) == l {
			s.leaders[l].behind = min(s.leaders[l].behind+1, uint8(len(s.events)))
		}
	}
}

// view is the pods as a watch shows them that has not seen the last events.
func (s *state) view(behind uint8) [maxPods]object {
	var out [maxPods]object
	for i := range s.pods {
		out[i] = s.pods[i].object
	}
	for i := len(s.events) - 1; i >= len(s.events)-int(behind); i-- {
		out[s.events[i].pod] = s.events[i].before
	}
	return out
}

// sample reads the server.
func (s *state) sample() sample {
	out := sample{known: true, at: s.now, others: s.others}
	for i := range s.pods {
		out.conns[i] = s.pods[i].conns
	}
	return out
}

// free is how many connections the server has left.
func (s *state) free(limit int) int {
	n := limit - int(s.others)
	for i := range s.pods {
		n -= int(s.pods[i].conns)
	}
	return max(0, n)
}

// send puts a message on its way, unless the same is on its way already or there
// are too many.
func (s *state) send(m message, most int) {
	for i, other := range s.network {
		if other.request == m.request && other.pod == m.pod {
			// The same request again is no other one; the newer plan speaks for it.
			network := append([]message(nil), s.network...)
			network[i] = m
			s.network = network
			return
		}
	}
	if len(s.network) < most {
		s.network = append(append(make([]message, 0, len(s.network)+1), s.network...), m)
	}
}

// drop takes message i off the network.
func (s *state) drop(i int) {
	network := append(make([]message, 0, len(s.network)), s.network[:i]...)
	s.network = append(network, s.network[i+1:]...)
}
