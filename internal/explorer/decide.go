package explorer

import (
	"sync"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/gate"
)

// question is all that a decision depends on.
type question struct {
	now     int32
	ledger  *memo
	view    [maxPods]object
	reading sample
	edition uint8
	term    uint8
	leads   bool // by its own clock, when it sends
}

// decision is what came of it: the requests that leave the process.
type decision struct {
	ledger *memo
	memory *memo // what is written down meanwhile: of the ledger before
	plan   *policy.Plan
	good   bool // there was a reading that is young enough
	writes []write
}

// write is one action of a plan as requests.
type write struct {
	kind     gate.Kind
	pod      uint8
	requests uint64
	promised bool // it is an admission by the rule
	grant    uint8
}

// decider asks policy.Decide and package gate, each question once.
type decider struct {
	scene   *Scene
	groups  []policy.Group
	ledgers ledgers
	library *library
	answers sync.Map // question → *decision
	pods    map[string]uint8
}

func newDecider(s *Scene) *decider {
	d := &decider{scene: s, library: &library{scene: s}, ledgers: ledgers{byLogin: s.ByLogin, steady: s.Moves[Jump] == 0}, pods: map[string]uint8{}}
	for e := range s.Editions {
		d.groups = append(d.groups, s.group(e))
	}
	for i := range s.Pods {
		d.pods[s.podName(i)] = uint8(i)
	}
	return d
}

func (d *decider) decide(q question) *decision {
	if known, ok := d.answers.Load(q); ok {
		out, _ := known.(*decision)
		return out
	}
	now := at(q.now)
	s := d.scene.snapshot(now, q.term, &q.view, q.reading)
	var before policy.Ledger
	if q.ledger != nil {
		before = q.ledger.ledger
	}
	plan, after := policy.Decide(now, d.groups[q.edition], s, before)
	out := &decision{ledger: d.ledgers.keep(after), memory: d.ledgers.keep(remembered(before)), plan: &plan, good: len(plan.Databases) > 0}
	for _, p := range plan.Databases {
		out.good = out.good && p.Unknown == "" && p.Starting == ""
	}
	term := ""
	if q.leads {
		term = s.Epoch
	}
	for _, a := range gate.Actions(plan, s) {
		if !a.May(term, now) {
			continue
		}
		i := d.pods[a.UID]
		w := write{kind: a.Kind, pod: i, requests: d.library.keep(a.Kind, a.Requests())}
		if a.Kind == gate.Admit {
			w.grant = uint8(a.Grant[d.scene.databaseID(d.scene.Pods[i].Workload).String()])
			w.promised = d.scene.Editions[q.edition].Mode[d.scene.Pods[i].Workload] != policy.Observe
		}
		out.writes = append(out.writes, w)
	}
	d.answers.Store(q, out)
	return out
}

// remembered is what a process finds that starts: what was written down of a
// ledger.
func remembered(l policy.Ledger) policy.Ledger {
	out := policy.Ledger{Databases: map[metrics.ID]policy.DatabaseMemory{}, Workloads: map[metrics.ID]policy.WorkloadMemory{}}
	for id, m := range l.Databases {
		last := m.Last
		last.Sessions = nil
		out.Databases[id] = policy.DatabaseMemory{Server: m.Server, Last: last, Others: m.Others}
	}
	for id, m := range l.Workloads {
		out.Workloads[id] = policy.WorkloadMemory{PerPod: m.PerPod, Told: m.Told}
	}
	return out
}

// watched is what is written down after others were watched for a whole window.
func (d *decider) watched() *memo {
	var ledger policy.Ledger
	var none [maxPods]object
	for ms := -int32(2 * window.Milliseconds()); ms < 0; ms += 5000 {
		s := d.scene.snapshot(at(ms), 0, &none, sample{known: true, at: ms, others: uint8(d.scene.Others)})
		_, ledger = policy.Decide(at(ms), d.groups[0], s, ledger)
	}
	return d.ledgers.keep(remembered(ledger))
}
