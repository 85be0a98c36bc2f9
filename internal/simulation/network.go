package simulation

import (
	"strconv"
	"time"

	"github.com/keda-headroom/headroom/policy"
)

// How late the API server may be: a client gives a request up after requestTimeout,
// the server goes on with it for up to longestPatch.
const (
	requestTimeout = 5 * time.Second
	longestPatch   = 34 * time.Second
)

// patch is a write on its way to the API server. One of stamp, admission and
// eviction is set.
type patch struct {
	at        time.Time
	sent      time.Time
	fleet     int
	uid       string
	version   string // that the pod must be at, "" for any
	from      *headroom
	epoch     string // of a stamp
	admission *policy.Admission
	eviction  *policy.Eviction
	basis     *basis
}

func versionText(n int) string { return strconv.Itoa(n) }

// send sends what a plan wants off. Of a pod, a process has one request under way.
func (h *headroom) send(plan policy.Plan) {
	w := h.w
	for i := range plan.Workloads {
		p := &plan.Workloads[i]
		for _, s := range p.Stamps {
			h.request(patch{fleet: i, uid: s.UID, version: s.Version, epoch: s.Epoch})
		}
		for k := range p.Evictions {
			e := &p.Evictions[k]
			h.request(patch{fleet: i, uid: e.UID, version: e.Version, eviction: e})
		}
		for k := range p.Admissions {
			a := &p.Admissions[k]
			version, err := strconv.Atoi(a.Version)
			if err != nil {
				continue // the gate's hands leave it out, too: nothing could take it back
			}
			// Whether it goes out is not known to whoever plans.
			h.issued[a.UID] = version
			h.request(patch{fleet: i, uid: a.UID, version: a.Version, admission: a, basis: h.basis})
		}
	}
	for uid, until := range h.underWay {
		if w.now.Sub(until) > time.Minute {
			delete(h.underWay, uid)
		}
	}
}

// request sends one write off, if the lease is fresh at that moment and nothing else
// is under way for the pod.
func (h *headroom) request(p patch) {
	w := h.w
	if w.now.Before(h.underWay[p.uid]) || !h.fresh(w.now) || p.basis == nil && p.admission != nil {
		return
	}
	takes := time.Duration(w.rand.Int64N(int64(w.s.PatchTakes) + 1))
	if w.rand.Float64() < w.s.PatchLate {
		takes = time.Duration(w.rand.Int64N(int64(longestPatch)))
	}
	p.sent, p.from = w.now, h
	p.at = w.now.Add(takes)
	h.underWay[p.uid] = w.now.Add(min(takes, requestTimeout))
	if w.rand.Float64() < w.s.PatchFails {
		return // it never arrives, and nobody can tell
	}
	w.network = append(w.network, p)
}

// stop stops a process in the middle of everything, if that is due. What it had
// checked its lease for already goes out when it wakes.
func (h *headroom) stop() {
	if h.pauseFor == 0 || !h.runs() {
		return
	}
	w := h.w
	h.pausedUntil = w.now.Add(h.pauseFor)
	h.pauseFor = 0
	for i := range w.network {
		if p := &w.network[i]; p.from == h && p.sent.Equal(w.now) {
			p.at = h.pausedUntil.Add(p.at.Sub(p.sent))
		}
	}
}
