package explorer

import (
	"fmt"
	"time"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// Scene is a world to begin with, and the bounds within which everything that can
// happen in it is tried.
type Scene struct {
	Name  string
	About string

	Limit, Reserve int
	Others         int // connections that others hold at first
	Spike          int // and hold during a spike
	ByLogin        bool
	TwoNames       bool // the second workload reaches the server by another name

	// Pods are there at first, or come later by the move Create.
	Pods []Seed
	// Editions are the policies, in the order in which they come into force.
	Editions []Edition

	// Moves says how often each kind of move may be made on one path; -1 is
	// without bound, what is missing is never made.
	Moves map[Kind]int
	// Behind is how many events a watch may be behind, Flying how many writes may
	// be on their way.
	Behind, Flying int
	// Depth bounds the moves of a path, States how many states are looked at.
	Depth, States int
}

// Seed is a pod.
type Seed struct {
	Workload   int
	Absent     bool // it comes later
	OtherGates bool // somebody else's gate is on it too
	Fenced     bool // the first leader's term is on it
	Running    int  // it runs, with a grant of as many connections; 0 is at the gate
}

// Edition is one state of the policy.
type Edition struct {
	PerPod [workloads]int
	Mode   [workloads]policy.Mode
	// Priority orders the workloads.
	Priority [workloads]int
	// Shedding gives up running pods of both where too little is left free.
	Shedding bool
}

// Times of every scene.
const (
	window        = 20 * time.Second // of others
	maxReadingAge = 10 * time.Second
	jump          = 15 * time.Second // makes a reading stale, and two the window pass
	instant       = time.Millisecond // that a reading takes to be another one's
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(ms int32) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }

func workloadID(w int) metrics.ID {
	return metrics.ID{Namespace: "shop", Name: string(rune('a' + w))}
}

func (s *Scene) databaseID(w int) metrics.ID {
	if s.TwoNames && w == 1 {
		return metrics.ID{Namespace: "data", Name: "two"}
	}
	return metrics.ID{Namespace: "data", Name: "one"}
}

// podName is a pod's name and UID.
func (s *Scene) podName(i int) string {
	n := 1
	for j := range i {
		if s.Pods[j].Workload == s.Pods[i].Workload {
			n++
		}
	}
	return fmt.Sprintf("%c%d", 'a'+s.Pods[i].Workload, n)
}

func address(i int) string { return fmt.Sprintf("10.0.0.%d", i+1) }

// group is what is decided together, by one edition of the policy.
func (s *Scene) group(edition int) policy.Group {
	var g policy.Group
	for w := range workloads {
		if id := s.databaseID(w); w == 0 || s.TwoNames {
			g.Databases = append(g.Databases, policy.Database{ID: id, Reserve: intorpercent.Count(s.Reserve), OthersWindow: window,
				PollInterval: time.Second, MaxReadingAge: maxReadingAge, AllowedNamespaces: []string{"*"}})
		}
		e := s.Editions[edition]
		g.Workloads = append(g.Workloads, policy.Workload{ID: workloadID(w), Mode: e.Mode[w], Priority: e.Priority[w],
			Databases: []policy.Use{{Database: s.databaseID(w), User: "worker", DatabaseName: "orders", ApplicationName: workloadID(w).Name, ConnectionsPerPod: e.PerPod[w]}},
			SQS:       &policy.SQS{QueueName: "q", MessagesPerPod: 1, StaleAfter: time.Hour, ErrorAfter: time.Hour}, ReadyTimeout: time.Hour,
			Shedding: policy.Shedding{Enabled: e.Shedding}})
	}
	return g
}

// reading is what the server said at a sample.
func (s *Scene) reading(x sample) metrics.Database {
	d := metrics.Database{Server: "server", Name: "orders", Attribution: metrics.ByAddress,
		Constraints: []metrics.Constraint{{Name: "server", Limit: s.Limit}},
		Logins:      []metrics.Login{{User: "worker", Database: "orders", Constraints: []string{"server"}}},
		Sessions:    []metrics.Sessions{{User: "web", Database: "shop", Address: "10.9.9.9", Count: int(x.others)}}}
	for i := range s.Pods {
		if x.conns[i] > 0 {
			d.Sessions = append(d.Sessions, metrics.Sessions{User: "worker", Database: "orders", Address: address(i),
				Application: workloadID(s.Pods[i].Workload).Name, Count: int(x.conns[i])})
		}
	}
	if s.ByLogin {
		d.Attribution = metrics.ByLogin
		for i := range d.Sessions {
			d.Sessions[i].Address = ""
		}
	}
	return d
}

// fleet is the pods of a workload as a watch shows them.
func (s *Scene) fleet(w int, view *[maxPods]object) metrics.Fleet {
	var f metrics.Fleet
	for i, seed := range s.Pods {
		o := view[i]
		if seed.Workload != w || !o.present {
			continue
		}
		p := metrics.Pod{UID: s.podName(i), Name: s.podName(i), Version: versionText(o.version), Epoch: epochText(o.epoch, o.mark),
			CreatedAt: epoch.Add(time.Duration(i-1000) * time.Second), Revision: 1, Gated: o.gated, OtherGates: o.gated && o.otherGates,
			Ready: o.ready && !o.terminating, Started: o.ready, Terminating: o.terminating}
		if o.ready {
			p.Address = address(i)
		}
		if o.grant > 0 {
			p.Grant = map[string]int{s.databaseID(w).String(): int(o.grant)}
		}
		if !o.terminating {
			f.SpecReplicas++
			f.StatusReplicas++
		}
		f.Pods = append(f.Pods, p)
	}
	return f
}

// snapshot is what a leader knows.
func (s *Scene) snapshot(now time.Time, term uint8, view *[maxPods]object, reading sample) policy.Snapshot {
	out := policy.Snapshot{Epoch: epochText(term, 0), Databases: map[metrics.ID]metrics.Reading[metrics.Database]{},
		Queues: map[metrics.ID]metrics.Reading[metrics.Queue]{}, Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{}}
	for w := range workloads {
		if reading.known {
			out.Databases[s.databaseID(w)] = metrics.Known(s.reading(reading), at(reading.at))
		}
		fleet := s.fleet(w, view)
		// The queue asks for the pods that there are: no controller makes more.
		out.Queues[workloadID(w)] = metrics.Known(metrics.Queue{Visible: int64(fleet.SpecReplicas)}, now)
		out.Fleets[workloadID(w)] = metrics.Known(fleet, now)
	}
	return out
}
