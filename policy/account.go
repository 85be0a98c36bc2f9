package policy

import (
	"strings"

	"github.com/keda-headroom/headroom/metrics"
)

// constraint is one limit's account in the making.
type constraint struct {
	ConstraintPlan
	server *server
	def    metrics.Constraint
	index  int // place in every vector of connections by constraint
	// young is how much of Ghosts may be connections of pods whose address is
	// not known yet: enough not to take anybody's pods away for, not enough to
	// promise anything on.
	young int
	// doubled is how much of young is counted a second time, as the grants of pods
	// past the gate.
	doubled int
	// tight is whether pods have to give back what they hold of it.
	tight bool
}

// label names the constraint for a person: "platform/orders-db server".
func (c *constraint) label() string { return c.server.label() + " " + c.Name }

// account counts every session once: as a pod's, as that of a pod that just
// left, as a ghost, or as others'. It fills in what pods were observed to hold,
// and the constraints' Used, Others and Ghosts.
//
// A session is governed when its user, database and application name are those
// of a governed workload. With addresses it then belongs to the pod that has its
// address. Without, it belongs to the workload, up to what that workload's pods
// were granted; what is more is a ghost.
func account(s *server, fleets []*fleet) {
	for _, c := range s.constraints {
		for _, group := range s.data.Sessions {
			if c.def.Counts(group.User, group.Database) {
				c.Used += group.Count
			}
		}
	}
	if s.full {
		accountFull(s, fleets)
		return
	}
	for _, group := range s.data.Sessions {
		owners := ownersOf(s, group, fleets)
		others, ghosts := group.Count, 0
		if len(owners) > 0 {
			others, ghosts = 0, attribute(s, group, owners)
		}
		s.others, s.ghosts = append(s.others, others), append(s.ghosts, ghosts)
		for _, c := range s.constraints {
			if c.def.Counts(group.User, group.Database) {
				c.Others += others
				c.Ghosts += ghosts
			}
		}
		if ghosts > 0 {
			excuse(s, group, ghosts, owners)
		}
	}
}

// accountFull judges a server that refuses our own login: everything is used,
// and every pod is taken to hold its whole grant, so that what is left is
// others'.
func accountFull(s *server, fleets []*fleet) {
	for _, c := range s.constraints {
		if c.def.User == "" && c.def.Database == "" {
			c.Used = max(c.Used, c.def.Limit)
		}
		held := 0
		for _, f := range fleets {
			for _, p := range f.pods {
				held += f.on(c, p.grants)
			}
		}
		c.Others = max(0, c.Used-held)
	}
}

// owner is one use that a session may belong to.
type owner struct {
	fleet *fleet
	use   int
}

// ownersOf returns the uses whose user, database and application name a group of
// sessions has, in order of workload.
func ownersOf(s *server, group metrics.Sessions, fleets []*fleet) []owner {
	var owners []owner
	for _, f := range fleets {
		for i, u := range f.uses {
			if u.server == s && u.User == group.User && u.database == group.Database &&
				strings.HasPrefix(group.Application, u.ApplicationName) {
				owners = append(owners, owner{f, i})
			}
		}
	}
	return owners
}

// attribute gives a group of sessions to pods of its owners, and returns how many
// are nobody's: ghosts.
func attribute(s *server, group metrics.Sessions, owners []owner) int {
	if s.data.Attribution == metrics.ByAddress {
		return attributeByAddress(s, group, owners)
	}
	// Up to their grants: first to the pods that were ready before the reading
	// began, and so have opened their pools; then to those that just left, and to
	// what was a ghost before; then to those that start. So what a pod left behind
	// can't hide in a grant that is not used yet.
	left := attributeByLogin(s, group.Count, owners, true)
	for _, o := range owners {
		for i := range o.fleet.departed {
			d := &o.fleet.departed[i]
			n := min(left, d.grants[o.use]-d.observed[o.use])
			d.observed[o.use] += n
			left -= n
		}
	}
	ghosts := 0
	for _, o := range owners {
		u := &o.fleet.uses[o.use]
		n := min(left-ghosts, max(0, o.fleet.memory.Ghosts[u.Database]-u.ghosts))
		u.ghosts += n
		ghosts += n
	}
	more := attributeByLogin(s, left-ghosts, owners, false)
	owners[0].fleet.uses[owners[0].use].ghosts += more
	return ghosts + more
}

// attributeByLogin gives n sessions to those of the owners' pods that were ready,
// or not, before the reading began, up to their grants, and returns how many are
// left.
func attributeByLogin(s *server, n int, owners []owner, ready bool) int {
	for _, o := range owners {
		for i := range o.fleet.pods {
			p := &o.fleet.pods[i]
			if p.promised {
				continue // at the gate it holds nothing
			}
			if ready == o.fleet.opened(s, p) {
				taken := min(n, max(0, p.grants[o.use]-p.observed[o.use]))
				p.observed[o.use] += taken
				n -= taken
			}
		}
	}
	return n
}

func attributeByAddress(s *server, group metrics.Sessions, owners []owner) int {
	if group.Address == "" {
		return group.Count
	}
	// Pods on the host's network share an address: each up to its grant, what
	// is more is the first one's.
	left := group.Count
	var first *int
	for _, o := range owners {
		for i := range o.fleet.pods {
			p := &o.fleet.pods[i]
			if p.Address != group.Address {
				continue
			}
			if first == nil {
				first = &p.observed[o.use]
			}
			n := min(left, max(0, p.grants[o.use]-p.observed[o.use]))
			p.observed[o.use] += n
			left -= n
		}
	}
	if first != nil {
		*first += left
		return 0
	}
	for _, o := range owners {
		for i := range o.fleet.departed {
			// A reading that began before the pod was gone says nothing of what
			// stays: its sessions are the departed pod's, inside its grant.
			if d := &o.fleet.departed[i]; d.Address == group.Address && !o.fleet.uses[o.use].releases(d.At) {
				d.observed[o.use] += group.Count
				return max(0, d.observed[o.use]-d.grants[o.use])
			}
		}
	}
	return group.Count
}

// excuse notes ghosts that may be connections of pods whose address the
// Kubernetes API does not show yet; where sessions can't be told apart by pod, of
// pods that it does not show to be ready, or past the gate, yet.
func excuse(s *server, group metrics.Sessions, ghosts int, owners []owner) {
	for _, o := range owners {
		for i := range o.fleet.pods {
			p := &o.fleet.pods[i]
			unused := p.grants[o.use] - p.excused[o.use]
			if s.data.Attribution == metrics.ByAddress {
				if p.Address != "" {
					continue
				}
			} else {
				if !p.promised && o.fleet.opened(s, p) {
					continue
				}
				unused -= p.observed[o.use]
			}
			n := min(ghosts, max(0, unused))
			p.excused[o.use] += n
			ghosts -= n
			for _, c := range s.constraints {
				if c.def.Counts(group.User, group.Database) {
					c.young += n
					if !p.promised {
						c.doubled += n
					}
				}
			}
		}
	}
}

// opened reports whether a pod was ready before the server's reading began, and so
// has opened its pool.
func (f *fleet) opened(s *server, p *pod) bool {
	seen := f.memory.Pods[p.UID].ReadySeen
	return p.Ready && !seen.IsZero() && s.began.After(seen)
}

// constrain makes the accounts of the servers' limits and numbers them.
func constrain(servers []*server) []*constraint {
	var all []*constraint
	for _, s := range servers {
		if s.unknown != "" {
			continue
		}
		for _, def := range s.data.Constraints {
			c := &constraint{server: s, def: def, index: len(all)}
			c.Name, c.Limit, c.Reserve = def.Name, def.Limit, s.reserve(def)
			s.constraints = append(s.constraints, c)
			all = append(all, c)
		}
	}
	return all
}

// settle fills in what follows from the counts: granted, departed, budget, free.
func settle(all []*constraint, fleets []*fleet) {
	for _, c := range all {
		for _, f := range fleets {
			for _, p := range f.pods {
				c.Granted += f.on(c, p.grants)
			}
			for _, d := range f.departed {
				c.Departed += f.on(c, d.grants)
			}
		}
		c.Budget = c.Limit - c.Reserve - max(c.Others, c.OthersHighWater) - c.Ghosts
		c.Free = c.Budget - c.Granted - c.Departed
	}
}
