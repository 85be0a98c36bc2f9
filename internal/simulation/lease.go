package simulation

import (
	"fmt"
	"time"
)

// Of the lease, as Headroom's flags have it by default.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// lease is the object that says who leads.
type lease struct {
	holder  int // a process, -1 for nobody
	term    string
	renewed time.Time
	terms   int
}

// candidacy is what a process knows of the lease.
type candidacy struct {
	term     string
	leads    bool // it acquired the lease, and has not seen it with anybody else
	renewed  time.Time
	ready    bool           // every pod that a quorum read showed is watched
	listed   map[string]int // those that are still missing, with their fleet
	seen     lease          // the lease as it was last seen
	seenAt   time.Time      // since when it is like that
	tryAgain time.Time
}

// fresh reports whether nobody else can have the lease yet.
func (c *candidacy) fresh(now time.Time) bool {
	return c.leads && now.Sub(c.renewed) < renewDeadline
}

// elect lets a process look at the lease, renew it, or acquire it.
func (h *headroom) elect() {
	w := h.w
	if !h.runs() || w.now.Before(w.apiAway) {
		return
	}
	if h.leads && !h.ready {
		h.takeOver()
	}
	if w.now.Before(h.tryAgain) {
		return
	}
	h.tryAgain = w.now.Add(retryPeriod)
	if h.seen != w.lease {
		h.seen, h.seenAt = w.lease, w.now
	}
	switch {
	case h.leads && w.lease.holder == h.id && w.lease.term == h.term && h.fresh(w.now):
		w.lease.renewed, h.renewed = w.now, w.now
		h.seen, h.seenAt = w.lease, w.now
	case h.leads && (w.lease.holder != h.id || w.lease.term != h.term):
		h.restart(w.now.Add(time.Second)) // it exits as soon as it sees another's
	case w.lease.holder < 0 || w.now.Sub(h.seenAt) >= leaseDuration || h.leads:
		h.acquire()
	}
}

// acquire begins a new term.
func (h *headroom) acquire() {
	w := h.w
	if !h.leads {
		h.load()
	}
	w.lease.terms++
	h.term = fmt.Sprintf("process-%d_%d", h.id, w.lease.terms)
	w.lease = lease{holder: h.id, term: h.term, renewed: w.now, terms: w.lease.terms}
	h.leads, h.renewed, h.ready = true, w.now, false
	h.seen, h.seenAt = w.lease, w.now
	h.listed = map[string]int{}
	for i, d := range w.fleets {
		for _, p := range d.pods {
			h.listed[p.uid] = i
		}
	}
}

// takeOver looks whether every pod that was listed, and still is there, is watched.
func (h *headroom) takeOver() {
	for uid, i := range h.listed {
		state, _ := h.fleets[workloadID(i)].Last()
		watched := false
		for _, p := range state.Pods {
			watched = watched || p.UID == uid
		}
		exists := false
		for _, p := range h.w.fleets[i].pods {
			exists = exists || p.uid == uid
		}
		if watched || !exists {
			delete(h.listed, uid)
		}
	}
	h.ready = len(h.listed) == 0
}
