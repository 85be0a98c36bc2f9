package scenario

import (
	"fmt"
	"time"
)

// Scenario is what is played. A Scenario comes from [Parse]: all of its fields
// are inside their bounds.
type Scenario struct {
	// Name is the file's, without its ending.
	Name string `yaml:"-"`
	// Title is a line, Shows a few sentences: what can be learnt here.
	Title string `yaml:"title"`
	Shows string `yaml:"shows"`
	// Duration is when a run is cut off that has not drained, counted from the
	// beginning of the timeline.
	Duration Duration `yaml:"duration"`
	Database Database `yaml:"database"`
	Fleets   []Fleet  `yaml:"fleets"`
	Others   Others   `yaml:"others"`
	// Sweep tries contenders with all of their parameters here, not only with
	// those that they show.
	Sweep bool `yaml:"sweep"`
	// Lanes is how many contenders may run it side by side at most, where that is
	// less than elsewhere; 0 sets no bound.
	Lanes int `yaml:"lanes"`
	// Nodes is how many nodes the fleets have; 0 means one.
	Nodes    int    `yaml:"nodes"`
	Timeline []Step `yaml:"timeline"`
}

// Database is the PostgreSQL server that everybody shares.
type Database struct {
	// MaxConnections is the server's max_connections; ReservedConnections of
	// them are for superusers alone.
	MaxConnections      int `yaml:"maxConnections"`
	ReservedConnections int `yaml:"reservedConnections"`
	// Reserve is how many connections a careful operator leaves free.
	Reserve int `yaml:"reserve"`
}

// Usable is how many connections ordinary roles can hold.
func (d Database) Usable() int { return d.MaxConnections - d.ReservedConnections }

// Fleet is the workers of one queue, or, with Count, that many fleets which are
// alike but for their names and queues.
type Fleet struct {
	Name string `yaml:"name"`
	// Count is how many fleets there are; 0 means one. [Scenario.Expand] names
	// them NAME-01, NAME-02, …
	Count int `yaml:"count"`
	// Messages is the size of the fleet's burst.
	Messages int `yaml:"messages"`
	// Work is how long a worker holds a connection for a message.
	Work Duration `yaml:"work"`
	// ConnectionsPerPod is the size of a worker's pool, and how many messages it
	// works on at a time, as autoscalers are told.
	ConnectionsPerPod int `yaml:"connectionsPerPod"`
	// OpensPerPod is how many connections a pod opens in truth, 0 for
	// ConnectionsPerPod. Those above are held beside the pool, to no use.
	OpensPerPod int `yaml:"opensPerPod"`
	// MessagesPerPod is how many messages justify one more pod.
	MessagesPerPod int `yaml:"messagesPerPod"`
	// StartDelay is how long a pod takes until its worker runs.
	StartDelay Duration `yaml:"startDelay"`
	// Termination is how long a pod that is told to end keeps its connections, and
	// finishes what it has begun.
	Termination Duration `yaml:"termination"`
	// MinReplicas and MaxReplicas are the ScaledObject's bounds.
	MinReplicas int `yaml:"minReplicas"`
	MaxReplicas int `yaml:"maxReplicas"`
}

// Opens is how many connections a pod opens in truth.
func (f Fleet) Opens() int {
	if f.OpensPerPod > 0 {
		return f.OpensPerPod
	}
	return f.ConnectionsPerPod
}

// Others is another application on the same server.
type Others struct {
	// Held connections are open all the time.
	Held int `yaml:"held"`
	// ShortEvery is how often it opens one more for a moment; 0 is never.
	ShortEvery Duration `yaml:"shortEvery"`
	// Peak is the most that it is known to hold at once: what a careful operator
	// reckons with.
	Peak int `yaml:"peak"`
}

// watcher is the session that watches the database during a run. It is there in
// every run, and takes a slot.
const watcher = 1

// usual is what the other application holds when nothing happens.
func (o Others) usual() int {
	if o.ShortEvery > 0 {
		return o.Held + 1
	}
	return o.Held
}

// Expand returns the fleets one by one, with a Count of one each.
func (s Scenario) Expand() []Fleet {
	var out []Fleet
	for _, f := range s.Fleets {
		n := max(f.Count, 1)
		for i := range n {
			one := f
			one.Count = 1
			if n > 1 {
				one.Name = fmt.Sprintf("%s-%02d", f.Name, i+1)
			}
			out = append(out, one)
		}
	}
	return out
}

// FixedReplicas are the replicas of each fleet of [Scenario.Expand] that fit as
// long as nothing happens, by what pods hold in truth: those of the run that
// others are compared with.
func (s Scenario) FixedReplicas() []int { return s.replicas(s.Others.usual(), Fleet.Opens) }

// CarefulReplicas are the replicas of each fleet of [Scenario.Expand] that
// leave room for the others' peak, by what pods are declared to hold.
func (s Scenario) CarefulReplicas() []int {
	return s.replicas(s.Others.Peak, func(f Fleet) int { return f.ConnectionsPerPod })
}

// replicas divides the usable connections, less the reserve and those of others,
// and of whoever watches, among the fleets as evenly as whole pods allow. Each
// fleet gets one at least.
func (s Scenario) replicas(others int, perPod func(Fleet) int) []int {
	fleets := s.Expand()
	left := s.Database.Usable() - s.Database.Reserve - watcher - others
	replicas := make([]int, len(fleets))
	for i, f := range fleets {
		replicas[i] = 1
		left -= perPod(f)
	}
	for grown := true; grown; {
		grown = false
		for i, f := range fleets {
			if replicas[i] < f.MaxReplicas && perPod(f) <= left {
				replicas[i]++
				left -= perPod(f)
				grown = true
			}
		}
	}
	return replicas
}

// Last is when the last step of the timeline ends.
func (s Scenario) Last() time.Duration {
	var last time.Duration
	for _, step := range s.Timeline {
		last = max(last, step.At.Duration()+step.For.Duration())
	}
	return last
}

// Messages is how many messages all bursts of the timeline send.
func (s Scenario) Messages() int {
	n := 0
	for _, step := range s.Timeline {
		if step.Do != Burst {
			continue
		}
		for _, f := range s.Expand() {
			if step.concerns(f) {
				n += step.size(f)
			}
		}
	}
	return n
}
