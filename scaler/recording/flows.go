package recording

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/recording/delta"
)

// What is remembered of the flow through a queue changes with every reading, and would
// be most of a recording. It follows from what it was and from the reading, which stands
// there anyway ([policy.Flow.Next]). So a record names the flows that went on by one
// reading, and of each flow only the differences from what follows are written, which
// are seldom any.

// rules tell by what rules flows follow from readings: those of this version, and of how
// this program's processor rounds (some multiply and add in one). Where they are others
// than those of who wrote a recording, nothing follows.
var rules = sync.OnceValue(func() string {
	var flow policy.Flow
	var points metrics.Points
	s, q := policy.SQS{Concurrency: 3}, metrics.Queue{}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 240 {
		at := start.Add(time.Duration(i)*4900*time.Millisecond + time.Duration(i*i%97)*time.Millisecond)
		q.Visible = max(0, q.Visible+int64(i*i%41)-20)
		q.InFlight = min(q.Visible, int64(i%13))
		if i%12 == 11 {
			sent, deleted, oldest := float64(100+i%7*10), float64(90+i%11*10), float64(i%50)
			minute := metrics.Minute{Start: at.Truncate(time.Minute).Add(-3 * time.Minute), Sent: &sent, Deleted: &deleted, OldestAge: &oldest}
			points.Minutes = append(points.Minutes, minute)
		}
		flow = flow.Next(q, at, i%9, points, s)
	}
	text, err := json.Marshal(flow)
	if err != nil {
		return "none"
	}
	return fmt.Sprintf("%d-%08x", policy.FlowVersion, crc32.Checksum(text, castagnoli))
})

// step is one flow that went on by a reading.
type step struct {
	id metrics.ID
	// ahead says that it was the reading of this record; else it was that of the one
	// before, by which that one's decision was made.
	ahead bool
	ready int
}

// steps finds what leads from the flows of one record to those of the next: which
// readings are in the new ones and were not in the old, and which of the old went on by
// what CloudWatch had published.
func (c *codecs) steps(old, new Record) []step {
	var all []step
	for id, m := range new.Ledger.Workloads {
		before, known := old.Ledger.Workloads[id]
		if !known || before.Flow.At.IsZero() || m.Flow.At.IsZero() {
			continue
		}
		s := step{id: id, ready: m.Flow.Ready}
		switch at := m.Flow.At; {
		case began(old, id).Equal(at):
			if at.Equal(before.Flow.At) && c.flows.Equal(&before.Flow, &m.Flow) {
				continue
			}
		case began(new, id).Equal(at):
			s.ahead = true
		default:
			continue // several readings went by
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b step) int { return metrics.ID.Compare(a.id, b.id) })
	return all
}

// began is when the reading of a workload's queue began, as flows keep it.
func began(r Record, id metrics.ID) time.Time { return r.Snapshot.Queues[id].Began().Round(0) }

// next returns a flow after the step, by a record's group and readings.
func (s step) next(f policy.Flow, group policy.Group, snapshot policy.Snapshot) policy.Flow {
	w, governed := group.Workload(s.id)
	if !governed || w.SQS == nil {
		return f
	}
	reading := snapshot.Queues[s.id]
	q, _ := reading.Last()
	points, _ := snapshot.Points[s.id].Last()
	return f.Next(q, reading.Began(), s.ready, points, *w.SQS)
}

// follow returns the memories of old after the steps.
func follow(steps []step, old, new Record) map[metrics.ID]policy.WorkloadMemory {
	if len(steps) == 0 {
		return old.Ledger.Workloads
	}
	out := maps.Clone(old.Ledger.Workloads)
	for _, s := range steps {
		by := old
		if s.ahead {
			by = new
		}
		m := out[s.id]
		m.Flow = s.next(m.Flow, by.Group, by.Snapshot)
		out[s.id] = m
	}
	return out
}

func flowOf(m policy.WorkloadMemory) policy.Flow { return m.Flow }

func withoutFlow(m policy.WorkloadMemory) policy.WorkloadMemory {
	m.Flow = policy.Flow{}
	return m
}

// writeSteps appends the steps.
func writeSteps(w *delta.Writer, steps []step) {
	w.Uint(uint64(len(steps)) + 1)
	for _, s := range steps {
		w.Key(s.id.String(), false)
		flag := uint64(0)
		if s.ahead {
			flag = 1
		}
		w.Uint(uint64(max(0, s.ready))<<1 | flag)
		w.Material = true // without it the next step would not follow
	}
}

// flows are those of a group as its records are being read.
type flows struct {
	part[policy.Flow, policy.Flow]
	all map[metrics.ID]policy.Flow
	// foreign says that another version wrote them, by other rules: what followed then
	// doesn't now.
	foreign bool
	ahead   []pending
	lost    []metrics.ID
}

// pending is a step by what has not been read yet.
type pending struct {
	step
	slot *slot[policy.Flow]
}

// step takes in what writeSteps wrote, as far as it follows from the record before.
func (f *flows) step(r *delta.Reader, before func() *Record) {
	f.ahead = f.ahead[:0]
	count, _ := r.Count()
	for range count {
		ref, _ := r.KeyRef()
		s, how := f.slot(r, ref), r.Uint()
		switch {
		case s == nil || r.Err() != nil:
			return
		case s.given || !s.there:
		case f.foreign:
			*s = slot[policy.Flow]{id: s.id, there: true, given: true}
			delete(f.all, s.id)
			f.lost = append(f.lost, s.id)
		default:
			p := pending{step{id: s.id, ahead: how&1 == 1, ready: int(how >> 1 & 0xffffff)}, s}
			if p.ahead {
				f.ahead = append(f.ahead, p)
			} else {
				f.advance(r, p, before)
			}
		}
	}
}

// catchUp takes the steps by what has been read meanwhile.
func (f *flows) catchUp(r *delta.Reader, by func() *Record) {
	for _, p := range f.ahead {
		f.advance(r, p, by)
	}
}

// mostIntervals is far above what a flow has, and what the next takes long to make of.
const mostIntervals = 1000

func (f *flows) advance(r *delta.Reader, p pending, by func() *Record) {
	if n := len(p.slot.value.Came); n > mostIntervals {
		r.Fail(fmt.Errorf("expected at most %d intervals in the flow of %s, found %d", mostIntervals, p.id, n))
		return
	}
	record := by()
	p.slot.value = p.next(p.slot.value, record.Group, record.Snapshot)
	if !p.slot.stale {
		p.slot.stale = true
		f.stale = append(f.stale, p.slot)
	}
}
