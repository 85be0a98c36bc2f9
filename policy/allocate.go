package policy

// allocate divides the budgets among the fleets, in whole pods, and sets each
// fleet's share. It goes through all pods that anybody could have, in one order,
// and gives each its place if it fits beside those before it:
//
//  1. every workload's guaranteed minimum, and what is frozen
//  2. the first pod of every workload with demand
//  3. what the demand asks for: higher priority first; among equals the
//     workload with the fewest pods (max-min fair)
//  4. what an earlier demand asked for and still runs
//
// Ties go to a pod that is there already, then to the workload's name, so that
// nothing moves without a gain. A workload whose pod does not fit gets no
// further pod: what a pod needs only grows.
//
// A share says who should have what once everything has settled; what others
// hold beyond theirs is taken into account by the ceiling. Whatever is leaving
// has no part in a share.
func allocate(all []*constraint, fleets []*fleet) {
	need := make([]int, len(all)) // Σ of all shares, by constraint
	room := make([]int, len(all))
	for k, c := range all {
		room[k] = c.Budget + excused(c, fleets)
	}
	for _, f := range fleets {
		f.share = 0
	}
	inOrder(fleets, func(f *fleet, n int) bool { return f.raise(n, need, room) })
}

// inOrder offers every pod that anybody asks for, the most deserving first. A
// fleet that does not take one is not offered another.
func inOrder(fleets []*fleet, take func(f *fleet, n int) bool) {
	queue := make(units, 0, len(fleets))
	for i, f := range fleets {
		if next, ok := f.unit(i, 1); ok {
			queue = append(queue, next)
		}
	}
	queue.order()
	for len(queue) > 0 {
		u := queue[0]
		f := fleets[u.fleet]
		taken := take(f, u.n)
		next, more := f.unit(u.fleet, u.n+1)
		queue.follow(next, taken && more)
	}
}

// excused is what of a constraint's ghosts is not held against pods that run:
// connections of pods whose address is not known yet would otherwise take those
// very pods away. New pods get nothing of it: it stops where the present pods'
// needs are covered, with what a rollout of theirs may add.
func excused(c *constraint, fleets []*fleet) int {
	held := 0
	for _, f := range fleets {
		held += max(f.kept[c.index][f.staying], f.need(min(f.staying, f.state.SpecReplicas), c.index))
	}
	return min(c.young, max(0, held-c.Budget))
}

// unit is the n-th pod of one fleet, with its place in the order.
type unit struct {
	stage    int
	priority int
	n        int
	missing  bool // it is not there already
	fleet    int
}

// unit returns the fleet's n-th pod, or false where nobody asks for it.
func (f *fleet) unit(index, n int) (unit, bool) {
	u := unit{n: n, fleet: index, missing: n > f.staying, priority: f.Priority}
	switch {
	case f.frozen != nil && n <= f.frozenAt():
		u.stage = 1
	case f.frozen != nil:
		return unit{}, false
	case n <= f.lo:
		u.stage = 1
	case n == 1 && f.demand.Raw >= 1:
		u.stage = 2
	case n <= f.demand.Raw:
		u.stage = 3
	case n <= f.demand.Smoothed && n <= f.staying:
		u.stage = 4
	default:
		return unit{}, false
	}
	return u, true
}

// raise gives the fleet its n-th pod if that fits, and renews need.
func (f *fleet) raise(n int, need, room []int) bool {
	for k := range need {
		if f.fits[k] && need[k]-f.need(n-1, k)+f.need(n, k) > room[k] {
			return false
		}
	}
	for k := range need {
		need[k] += f.need(n, k) - f.need(n-1, k)
	}
	f.share = n
	return true
}

// units is a heap of each fleet's next pod: none goes before the one at half its
// place. The first is the most deserving.
type units []unit

// order makes a heap of units in any order.
func (q units) order() {
	for i := len(q)/2 - 1; i >= 0; i-- {
		q.sink(i)
	}
}

// follow puts the fleet's next pod in the place of the first, if there is one more.
func (q *units) follow(next unit, more bool) {
	if !more {
		last := len(*q) - 1
		next = (*q)[last]
		*q = (*q)[:last]
	}
	if len(*q) > 0 {
		(*q)[0] = next
		q.sink(0)
	}
}

// sink moves a unit down to where none below goes before it.
func (q units) sink(i int) {
	u := q[i]
	for {
		below := 2*i + 1
		if below >= len(q) {
			break
		}
		if next := below + 1; next < len(q) && q[next].before(&q[below]) {
			below = next
		}
		if !q[below].before(&u) {
			break
		}
		q[i] = q[below]
		i = below
	}
	q[i] = u
}

// before reports whether a is more deserving than b.
func (a *unit) before(b *unit) bool {
	switch {
	case a.stage != b.stage:
		return a.stage < b.stage
	case a.priority != b.priority:
		return a.priority > b.priority
	case a.n != b.n:
		return a.n < b.n
	case a.missing != b.missing:
		return b.missing
	}
	return a.fleet < b.fleet
}
