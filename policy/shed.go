package policy

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// tooFull is how few slots must be free for running pods to be given up: half of the
// reserve is gone, rounded up. The other half is what others have while pods leave.
func (c *constraint) tooFull() int { return (c.Reserve + 1) / 2 }

// free is how many slots are neither used nor promised to pods past the gate; below 0
// where more is promised than there is. What is promised at the gate can still be
// taken back, and what pods held that are gone is a ghost's as soon as a reading shows
// that it is still held: neither is counted.
func (c *constraint) free(fleets []*fleet) int {
	free := c.Limit - c.Others - (c.Ghosts - c.doubled)
	for _, f := range fleets {
		for _, p := range f.pods {
			if !p.promised {
				free -= f.on(c, p.grants)
			}
		}
	}
	return free
}

// press raises the pressure on limits that stay too full. A server without a free
// slot hides how many it turns away: what is given back is taken at once, by somebody
// who was refused until then. So while less than half the reserve is free, what is to
// be kept free grows: by the reserve where nothing is free at all, and then to twice
// as much, each time after everything that was leaving has left and the server was
// read again. Where pods are told to leave and stay, more pressure is of no use. Without a workload that sheds nothing is pressed.
func press(now time.Time, servers []*server, fleets []*fleet, memory map[metrics.ID]DatabaseMemory) {
	for _, s := range servers {
		for _, c := range s.constraints {
			m := s.pressure(c.Name, memory)
			sheds, leaving := sheddable(now, c, fleets)
			if free := c.free(fleets); sheds && free < c.tooFull() {
				c.tight = true
				switch {
				case m.At.IsZero() && free <= 0:
					m = Pressure{Connections: max(1, c.Reserve), At: now}
				case m.At.IsZero():
					m = Pressure{At: now}
				case !leaving.any && c.Departed == 0 && s.began.After(m.At):
					m = Pressure{Connections: min(c.Limit, max(1, c.Reserve, 2*m.Connections)), At: now}
				}
			} else {
				m = Pressure{}
			}
			c.Pressure = m.Connections
			c.Budget -= m.Connections
			c.Free -= m.Connections
			s.press(c.Name, m, memory)
		}
	}
}

// pressure is what the names of a server remember of a limit's.
func (s *server) pressure(constraint string, memory map[metrics.ID]DatabaseMemory) Pressure {
	var out Pressure
	for _, p := range s.policies {
		if m, ok := memory[p.ID].Pressure[constraint]; ok && !m.At.Before(out.At) {
			out = m
		}
	}
	return out
}

func (s *server) press(constraint string, pressure Pressure, memory map[metrics.ID]DatabaseMemory) {
	for _, p := range s.policies {
		m := memory[p.ID]
		m.Pressure = maps.Clone(m.Pressure)
		delete(m.Pressure, constraint)
		if !pressure.At.IsZero() {
			if m.Pressure == nil {
				m.Pressure = map[string]Pressure{}
			}
			m.Pressure[constraint] = pressure
		}
		memory[p.ID] = m
	}
}

// going is what is being given back.
type going struct {
	connections int  // that pods hold which leave
	any         bool // pods leave, or were told to and stayed
}

// sheddable reports whether any workload sheds connections of c, and what is being
// given back of it.
func sheddable(now time.Time, c *constraint, fleets []*fleet) (sheds bool, leaving going) {
	for _, f := range fleets {
		for _, p := range f.pods {
			held := f.on(c, p.grants)
			if held > 0 && !p.promised {
				sheds = sheds || f.Shedding.Enabled && f.mayEvict()
				if f.leaves(now, p) {
					leaving.connections += held
				}
				_, told := f.memory.Evicted[p.UID]
				leaving.any = leaving.any || p.Terminating || told
			}
		}
	}
	return sheds, leaving
}

// shed gives up as few running pods as bring back the reserve of limits that are too
// full, and what they are pressed for. What is leaving already counts as given back.
//
// Pods that have not begun go first. Then those whom the allocation would miss least:
// what a workload has beyond its share, then the last in the order of shares.
func shed(now time.Time, all []*constraint, fleets []*fleet) {
	if !slices.ContainsFunc(all, func(c *constraint) bool { return c.tight }) {
		return
	}
	need := make([]int, len(all))
	for k, c := range all {
		if c.tight {
			_, leaving := sheddable(now, c, fleets)
			need[k] = c.Reserve + c.Pressure - c.free(fleets) - leaving.connections
		}
	}
	whole := slices.Clone(need)
	left := make([][]*pod, len(fleets)) // who could go, the first first
	for i, f := range fleets {
		if f.Shedding.Enabled && f.mayEvict() {
			left[i] = f.leavers(now)
			left[i] = left[i][:max(0, len(left[i])-f.Shedding.MinReplicas)]
		}
	}
	for {
		worst, found := unit{}, -1
		for i, f := range fleets {
			if len(left[i]) == 0 || !f.eases(left[i][0], all, need) {
				continue
			}
			if u := f.last(i, len(left[i])+f.Shedding.MinReplicas, left[i][0]); found < 0 || goesBefore(u, worst) {
				worst, found = u, i
			}
		}
		if found < 0 {
			return
		}
		f, p := fleets[found], left[found][0]
		left[found] = left[found][1:]
		for k, c := range all {
			if need[k] > 0 && f.on(c, p.grants) > 0 {
				f.evict(now, p, Shed, fmt.Sprintf("%s has %s free of %d, fewer than half of its reserve of %d: %s to be given back",
					c.label(), connections(max(0, c.free(fleets))), c.Limit, c.Reserve, are(whole[k])))
				break
			}
		}
		for k, c := range all {
			need[k] -= f.on(c, p.grants)
		}
	}
}

// eases reports whether a pod holds anything of what has to be given back.
func (f *fleet) eases(p *pod, all []*constraint, need []int) bool {
	for k, c := range all {
		if need[k] > 0 && f.on(c, p.grants) > 0 {
			return true
		}
	}
	return false
}

// last is the place in the allocation of a fleet's n-th pod, which is p.
func (f *fleet) last(index, n int, p *pod) unit {
	u, ok := f.unit(index, n)
	switch {
	case !p.begun():
		u = unit{stage: 7, priority: f.Priority, n: n, fleet: index}
	case !ok || n > f.share:
		u = unit{stage: 6, priority: f.Priority, n: n, fleet: index}
	}
	return u
}

// goesBefore reports whether a is given up before b: it comes later in the order in
// which pods are given.
func goesBefore(a, b unit) bool { return b.before(&a) }

func are(n int) string {
	if n == 1 {
		return "1 is"
	}
	return fmt.Sprintf("%d are", n)
}
