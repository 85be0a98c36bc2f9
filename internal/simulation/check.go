package simulation

import (
	"fmt"
	"slices"
	"time"

	"github.com/keda-headroom/headroom/internal/hpa"
	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/policy"
)

// check holds every promise against the world at the moment it comes true.
type check struct {
	w          *world
	violations []string
	admissions int
	raises     int
	late       int
	overtaken  int
	evictions  int
	moved      time.Time // when replicas or gates last changed
	rolled     time.Time // when a rollout was last under way
}

func (c *check) fail(format string, args ...any) {
	c.violations = append(c.violations, fmt.Sprintf("at %s: ", c.w.now.Sub(c.w.start))+fmt.Sprintf(format, args...))
}

// apply lets patches and writes whose time has come take effect, and checks each.
func (c *check) apply() {
	w := c.w
	if c.rolling() {
		c.rolled = w.now
	}
	left := w.network[:0]
	for _, p := range w.network {
		if w.now.Before(p.at) || w.now.Before(w.apiAway) {
			left = append(left, p)
			continue
		}
		c.land(p)
	}
	w.network = left
	for _, d := range w.fleets {
		var left []write
		for _, x := range d.pending {
			if w.now.Before(w.apiAway) {
				continue // the write fails; the next sync asks anew
			}
			if w.now.Before(x.at) {
				left = append(left, x)
				continue
			}
			if n := w.wrote(d, x); n != d.spec {
				before := d.spec
				d.spec = n
				c.moved = w.now
				if n > before && x.answer.ok && d.Mode == policy.Target {
					c.raised(d, x, before)
				}
			}
		}
		d.pending = left
	}
}

// land lets a write to a pod come true, if the pod is still what it was made for.
func (c *check) land(x patch) {
	d := c.w.fleets[x.fleet]
	for _, p := range d.pods {
		if p.uid != x.uid || x.version != "" && x.version != versionText(p.version) {
			continue
		}
		switch {
		case x.admission != nil:
			c.admit(d, p, x)
		case x.eviction != nil:
			if p.until.IsZero() {
				c.evictions++
				c.moved = c.w.now
				c.w.terminate(d, p)
			}
		case p.epoch != x.epoch:
			p.epoch = x.epoch
			p.version++
		}
	}
}

// admit removes a pod's gate, if it is still there, and checks the promise.
func (c *check) admit(d *workload, p *simPod, x patch) {
	if !p.gated || !p.until.IsZero() {
		return
	}
	p.gated, p.grant, p.running = false, x.admission.Grant, c.w.now.Add(d.StartDelay)
	p.version++
	c.admissions++
	c.moved = c.w.now
	if c.w.now.Sub(x.sent) > 10*time.Second {
		c.late++
	}
	if x.admission.Epoch != c.w.lease.term {
		c.overtaken++
	}
	passed := 0
	for _, p := range d.pods {
		if !p.gated {
			passed++
		}
	}
	// Pods that hold more than they declare are replaced by connections, not by
	// number.
	b := x.basis
	if b.good[x.fleet] {
		if c.knowable(b) {
			c.fits(fmt.Sprintf("admission of %s", p.uid), b, func(*workload) int { return 0 })
		}
		return
	}
	if passed <= b.carried[x.fleet] || d.Opens != d.Declared {
		return
	}
	// What comes true late was counted as promised by whoever planned since and knew
	// more.
	for _, later := range c.w.bases {
		if !later.at.After(b.at) {
			continue
		}
		if passed <= later.carried[x.fleet] || later.good[x.fleet] && (!c.knowable(later) || c.misfit("", later, func(*workload) int { return 0 }) == "") {
			return
		}
	}
	c.fail("%s admitted as pod %d of fleet %d, with no good reading beyond %d", p.uid, passed, x.fleet, b.carried[x.fleet])
}

// raised checks that replicas that the HPA adds fit when all of them are there,
// with the surge that a rollout of theirs may add.
func (c *check) raised(d *workload, x write, before int) {
	c.raises++
	what := fmt.Sprintf("raise of fleet %d from %d to %d", d.index, before, d.spec)
	b := x.answer.basis
	if b.at.Sub(c.w.apiAway) < 5*time.Second+c.w.s.WatchLag {
		return // what is held is what there was before the API server went away
	}
	if !b.good[d.index] {
		c.fail("%s with no good reading (watched others for %s of %s)", what, b.watched, c.w.s.Window)
		return
	}
	if !c.knowable(b) {
		return
	}
	c.fits(what, b, func(f *workload) int {
		if f.Mode == policy.Gate {
			return 0
		}
		pods := f.spec
		if f == d {
			pods += intorpercent.Percent(f.Surge).Up(f.spec)
		}
		for _, p := range f.pods {
			if p.until.IsZero() {
				pods--
			}
		}
		return max(0, pods)
	})
}

// knowable reports whether whoever planned on b could know of all pods that nobody
// gates and that there are now. A rollout, an eviction or a forced deletion of such
// pods makes others come in their place at once, beside them; a target can't prevent
// that, and what was promised just before can't be taken back in any case.
func (c *check) knowable(b *basis) bool {
	return b.at.Sub(c.w.disturbed) > c.w.s.WatchLag+c.w.s.ActTakes+c.w.s.ReadEvery+c.w.s.ReadTakes+4*time.Second
}

// fits checks the admission rule against the world: what the pods past the gate
// may hold, the ghosts, the pods that come, and what others were known to need.
//
// What comes true late meets what was known later, by whoever planned last: others that
// need less, a larger limit. That is as good, for it was counted there.
func (c *check) fits(what string, b *basis, coming func(*workload) int) {
	wrong := c.misfit(what, b, coming)
	if wrong == "" {
		return
	}
	if last := c.w.bases[len(c.w.bases)-1]; last.at.After(b.at) && !slices.Contains(last.good, false) && c.misfit(what, last, coming) == "" {
		return
	}
	c.fail("%s", wrong)
}

// misfit says what does not fit by what a plan could know, "" where all does.
func (c *check) misfit(what string, b *basis, coming func(*workload) int) string {
	w := c.w
	var s *sample // the newest, by whichever name
	for _, name := range w.names {
		if other := b.samples[name]; other != nil && (s == nil || other.began.After(s.began)) {
			s = other
		}
	}
	pods, ghosts, more := 0, 0, 0
	for _, d := range w.fleets {
		for _, p := range d.pods {
			if !p.gated {
				pods += max(d.Declared, s.conns[p.uid])
			}
		}
		more += coming(d) * d.Declared
	}
	for _, g := range w.ghosts {
		ghosts += min(g.n, max(w.fleets[g.fleet].Declared, g.n))
		if w.fleets[g.fleet].Opens > w.fleets[g.fleet].Declared {
			ghosts -= g.n // a pod that opened more than it declared since the reading
		}
	}
	if age := b.at.Sub(s.began); age > w.group.Databases[0].MaxReadingAge {
		return fmt.Sprintf("%s rests on a reading that was %s old", what, age)
	}
	others := max(s.others, b.high)
	if pods+ghosts+more+others > s.limit-w.s.Reserve {
		return fmt.Sprintf("%s: pods may hold %d, ghosts %d, pods to come %d, others %d (at the reading %d), over %d − %d reserved; plan of %s, reading begun %s",
			what, pods, ghosts, more, others, s.others, s.limit, w.s.Reserve, b.at.Sub(w.start), s.began.Sub(w.start))
	}
	if w.s.RoleLimit > 0 && pods+ghosts+more > w.s.RoleLimit {
		return fmt.Sprintf("%s: pods may hold %d, ghosts %d, pods to come %d, over the role's %d", what, pods, ghosts, more, w.s.RoleLimit)
	}
	return ""
}

// settled checks, at the end of the calm, that the budget is kept to and used.
func (c *check) settled() {
	w := c.w
	room := w.limit - w.s.Reserve - w.others
	if w.s.RoleLimit > 0 {
		room = min(room, w.s.RoleLimit)
	}
	for _, g := range w.ghosts {
		room -= g.n
	}
	floor, need, first := 0, 0, 0
	counts := make([]int, len(w.fleets))
	podsFor := func(d *workload, n int) int {
		if d.Mode == policy.Gate || n == 0 {
			return n
		}
		return n + intorpercent.Percent(d.Surge).Up(n)
	}
	exact := true
	held := 0
	for i, d := range w.fleets {
		for _, p := range d.pods {
			if p.until.IsZero() && !p.gated {
				counts[i]++
				held += d.Opens
			}
		}
		floor += max(1, d.Min) * d.Opens
		need += podsFor(d, counts[i]) * d.Opens
		first += podsFor(d, max(1, d.Min)) * d.Opens
		exact = exact && d.Opens == d.Declared && d.ToleranceMil == 0
	}
	if first > room || !exact || w.full() || w.now.Sub(c.rolled) < w.s.Calm {
		return
	}
	if w.now.Sub(w.turnedAway) < w.s.Calm {
		return // a full server hides how much others still want
	}
	if c.moving() {
		c.fail("not settled after %s of calm: %v pods", 2*w.s.Calm, counts)
		return
	}
	if c.pending() {
		return
	}
	if held > room {
		c.fail("settled with %d connections promised, over %d: %v pods", held, room, counts)
	}
	for i, d := range w.fleets {
		more := (podsFor(d, counts[i]+1) - podsFor(d, counts[i])) * d.Opens
		if need+more <= room && counts[i] < 100 {
			c.fail("settled with %d of %d connections used though fleet %d (%d pods) could have %d more: %v pods, %s", need, room, i, counts[i], more, counts, w.why(i))
		}
		if counts[i] == 0 {
			c.fail("settled with no pod of fleet %d though everybody's first fits: %v pods, %s", i, counts, w.why(i))
		}
	}
}

// moving reports whether something changed within the last syncs of the HPA.
func (c *check) moving() bool { return c.w.now.Sub(c.moved) < 2*hpa.SyncPeriod }

// pending reports whether an HPA may still act on what it was told before something
// last changed (so long what it could do is set aside), or a write to a pod come true
// that was sent before.
func (c *check) pending() bool {
	acts := time.Duration(0)
	for _, d := range c.w.fleets {
		if d.Mode == policy.Target {
			acts = max(acts, d.Stabilize+5*time.Second)
		} else if c.w.s.PatchLate > 0 || c.w.s.PatchFails > 0 {
			acts = max(acts, longestPatch)
		}
	}
	return acts > 0 && c.w.now.Sub(c.moved) < 2*hpa.SyncPeriod+acts
}

// rolling reports whether a rollout is not through yet. Behind a full budget it
// waits on itself.
func (c *check) rolling() bool {
	for _, d := range c.w.fleets {
		for _, p := range d.pods {
			if p.revision < d.revision {
				return true
			}
		}
	}
	return false
}

// full reports whether the monitor is locked out of a full server: it then learns
// nothing and gives way in steps.
func (w *world) full() bool {
	for _, h := range w.processes {
		for _, r := range h.databases {
			if data, _ := r.Last(); data.Full {
				return true
			}
		}
	}
	return false
}

// why renders the last decision for a failure's text.
func (w *world) why(i int) string {
	h := w.leader()
	if h == nil || h.plan == nil {
		return "no plan"
	}
	return policy.Describe(h.plan.Workloads[i])
}
