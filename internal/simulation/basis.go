package simulation

import (
	"slices"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// basis is what a plan could rest on: the truth behind the newest reading that it
// accepted, by name.
type basis struct {
	at      time.Time
	samples map[metrics.ID]*sample
	high    int // the most that others were, in samples accepted within the window
	watched time.Duration
	carried []int // pods past the gate or on their way, by fleet, when the name's last good plan was made
	good    []bool
}

// watch is what was seen of others.
type watch struct {
	accepted []*sample
	first    time.Time // since when without a break
}

func (x watch) clone() watch { return watch{slices.Clone(x.accepted), x.first} }

// restsOn finds the truth that a plan could know.
func (h *headroom) restsOn(plan policy.Plan) *basis {
	w := h.w
	b := &basis{at: w.now, samples: map[metrics.ID]*sample{}, good: make([]bool, len(w.fleets))}
	var speaks *sample // the newest, by whichever name
	var full, starting bool
	for _, d := range plan.Databases {
		starting = starting || d.Starting != "" // a gap in the watch begins it anew
		truth := h.truths[d.ID]
		if d.Unknown != "" || truth == nil {
			continue
		}
		b.samples[d.ID] = truth
		if speaks == nil || truth.began.After(speaks.began) {
			data, _ := h.databases[d.ID].Last()
			speaks, full = truth, data.Full
		}
	}
	if speaks != nil && !full {
		h.watch.accepted = append(h.watch.accepted, speaks)
		if h.watch.first.IsZero() {
			h.watch.first = speaks.began
		}
	}
	kept := h.watch.accepted[:0]
	for _, s := range h.watch.accepted {
		if w.now.Sub(s.began) <= w.s.Window {
			kept = append(kept, s)
			b.high = max(b.high, s.others)
		}
	}
	h.watch.accepted = kept
	if !h.watch.first.IsZero() {
		b.watched = w.now.Sub(h.watch.first)
	}
	for i := range w.fleets {
		passed := h.passed(i, plan)
		b.good[i] = b.samples[w.database(i)] != nil && b.watched >= w.s.Window && !starting
		if b.good[i] || h.carried[i] == 0 {
			h.carried[i] = passed
		} else if b.samples[w.database(i)] != nil {
			h.carried[i] = max(h.carried[i], passed)
		}
	}
	b.carried = slices.Clone(h.carried)
	return b
}

// passed is how many pods of a fleet are past the gate or on their way, as far as
// the process could know or as it was.
func (h *headroom) passed(i int, plan policy.Plan) int {
	w := h.w
	passed := 0
	for _, s := range w.history {
		passed = max(passed, s.passed[i])
	}
	// An admission that did not come true yet may still do so.
	for _, p := range w.fleets[i].pods {
		if version, ok := h.issued[p.uid]; ok && p.gated && p.version == version {
			passed++
		}
	}
	known := 0 // by the API server's last word, which may be older still
	state, _ := h.fleets[workloadID(i)].Last()
	for _, p := range state.Pods {
		version, ok := h.issued[p.UID]
		if p.Holds() || ok && p.Gated && p.Version == versionText(version) {
			known++
		}
	}
	passed = max(passed, known)
	for _, a := range plan.Workloads[i].Admissions {
		if version, ok := h.issued[a.UID]; !ok || a.Version != versionText(version) {
			passed++
		}
	}
	return passed
}
