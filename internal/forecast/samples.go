package forecast

import "time"

// mostSamples bounds how many points a chart gets.
const mostSamples = 1000

// Series is what happened in steps of one length, for charts. All lists have one
// length.
type Series struct {
	StepSeconds float64 `json:"stepSeconds"`
	// Arrived are messages in the step. Backlog (waiting and in work), Age (seconds, of
	// the oldest), Pods, Replicas and Connections (of the first database) are the most
	// seen in the step.
	Arrived     []int     `json:"arrived"`
	Backlog     []int     `json:"backlog"`
	Age         []float64 `json:"age"`
	Pods        []int     `json:"pods"`
	Replicas    []int     `json:"replicas"`
	Connections []int     `json:"connections"`
}

// sampler looks at a run several times in each step.
type sampler struct {
	step, look, due time.Duration
	looks           int
	arrived         int
	age             time.Duration
	now             sample
	out             Series
}

type sample struct {
	backlog, pods, replicas, connections int
}

const looksPerStep = 8

func newSampler(length time.Duration) *sampler {
	step := max(time.Second, (length/mostSamples + time.Second - 1).Truncate(time.Second))
	return &sampler{step: step, look: step / looksPerStep, due: step / looksPerStep, out: Series{StepSeconds: step.Seconds()}}
}

// close is called when a look is due.
func (s *sampler) close(r *run) {
	now := sample{backlog: r.queue.len() + r.inFlight, pods: r.running(), replicas: r.spec}
	if m, ok := r.queue.oldest(); ok {
		s.age = max(s.age, s.due-m.at)
	}
	if len(r.servers) > 0 {
		now.connections = r.servers[0].used()
	}
	s.now.backlog, s.now.pods = max(s.now.backlog, now.backlog), max(s.now.pods, now.pods)
	s.now.replicas, s.now.connections = max(s.now.replicas, now.replicas), max(s.now.connections, now.connections)
	s.due += s.look
	if s.looks++; s.looks == looksPerStep {
		s.flush()
	}
}

func (s *sampler) flush() {
	o := &s.out
	o.Arrived, o.Backlog, o.Age = append(o.Arrived, s.arrived), append(o.Backlog, s.now.backlog), append(o.Age, s.age.Seconds())
	o.Pods, o.Replicas, o.Connections = append(o.Pods, s.now.pods), append(o.Replicas, s.now.replicas), append(o.Connections, s.now.connections)
	s.now, s.arrived, s.age, s.looks = sample{}, 0, 0, 0
}

func (s *sampler) series() Series {
	if s.looks > 0 {
		s.flush()
	}
	return s.out
}

// running counts the pods that have a node.
func (r *run) running() int {
	n := 0
	for _, p := range r.pods {
		if !p.gated {
			n++
		}
	}
	return n
}
