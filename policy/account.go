package policy

import (
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/metrics"
)

// constraint is one limit's account in the making.
type constraint struct {
	ConstraintPlan
	server *server
	name   string // for a person
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
func (c *constraint) label() string { return c.name }

// account counts every session once: as a pod's, as that of a pod that just
// left, as a ghost, or as others'. It fills in what pods were observed to hold,
// and the constraints' Used, Others and Ghosts.
//
// A session is governed when its user, database and application name are those
// of a governed workload. With addresses it then belongs to the pod that has its
// address. Without, it belongs to the workload, up to what that workload's pods
// were granted; what is more is a ghost.
func account(s *server, fleets []*fleet, byAddress map[string]*pod) {
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
	claims := newClaims(s, fleets)
	s.others, s.ghosts = make([]int, 0, len(s.data.Sessions)), make([]int, 0, len(s.data.Sessions))
	for i := range s.data.Sessions {
		group := &s.data.Sessions[i]
		if p, use := soleHolder(s, group, byAddress); p != nil {
			p.observed[use] += group.Count
			s.others, s.ghosts = append(s.others, 0), append(s.ghosts, 0)
			continue
		}
		owners := claims.owners(*group)
		others, ghosts := group.Count, 0
		if len(owners) > 0 {
			others, ghosts = 0, attribute(s, *group, owners, byAddress)
		}
		s.others, s.ghosts = append(s.others, others), append(s.ghosts, ghosts)
		for _, c := range s.constraints {
			if c.def.Counts(group.User, group.Database) {
				c.Others += others
				c.Ghosts += ghosts
			}
		}
		if ghosts > 0 {
			excuse(s, *group, ghosts, owners)
		}
	}
}

// soleHolder returns the pod that alone has the address of a group of sessions, and its
// use that alone has their login: most sessions have such a pod, and are all its own,
// whoever else has the login. nil where there is none, or more than one.
func soleHolder(s *server, group *metrics.Sessions, byAddress map[string]*pod) (holder *pod, use int) {
	p := byAddress[group.Address]
	if s.data.Attribution != metrics.ByAddress || p == nil || p.sibling != nil {
		return nil, 0
	}
	for i := range p.fleet.uses {
		if !p.fleet.uses[i].owns(s, group) {
			continue
		}
		if holder != nil {
			return nil, 0
		}
		holder, use = p, i
	}
	return holder, use
}

// owns reports whether sessions have the user, database and application name of the
// use.
func (u *use) owns(s *server, group *metrics.Sessions) bool {
	return u.server == s && u.User == group.User && u.database == group.Database && strings.HasPrefix(group.Application, u.ApplicationName)
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
	fleet       *fleet
	use         int
	application string // begins like this
}

// claims tell whose a server's sessions are.
type claims struct {
	// byLogin are the uses of each login, in order of workload, and found those of
	// them that sessions seen so far belong to.
	byLogin map[login][]owner
	found   map[signature][]owner
}

// signature is what sessions of one use have in common.
type signature struct {
	login
	application string
}

func newClaims(s *server, fleets []*fleet) claims {
	c := claims{byLogin: map[login][]owner{}, found: map[signature][]owner{}}
	for _, f := range fleets {
		for i, u := range f.uses {
			if l := (login{u.User, u.database}); u.server == s {
				c.byLogin[l] = append(c.byLogin[l], owner{f, i, u.ApplicationName})
			}
		}
	}
	return c
}

// owners returns the uses whose user, database and application name a group of
// sessions has, in order of workload.
func (c claims) owners(group metrics.Sessions) []owner {
	sig := signature{login{group.User, group.Database}, group.Application}
	owners, ok := c.found[sig]
	if !ok {
		for _, o := range c.byLogin[sig.login] {
			if strings.HasPrefix(group.Application, o.application) {
				owners = append(owners, o)
			}
		}
		c.found[sig] = owners
	}
	return owners
}

// addresses returns the first pod with each address, in order of workload, which
// leads to the others with it.
func addresses(fleets []*fleet) map[string]*pod {
	pods := 0
	for _, f := range fleets {
		pods += len(f.pods)
	}
	first := make(map[string]*pod, pods)
	for _, f := range slices.Backward(fleets) {
		for _, p := range slices.Backward(f.pods) {
			if p.Address != "" {
				p.sibling, first[p.Address] = first[p.Address], p
			}
		}
	}
	return first
}

// attribute gives a group of sessions to pods of its owners, and returns how many
// are nobody's: ghosts.
func attribute(s *server, group metrics.Sessions, owners []owner, byAddress map[string]*pod) int {
	if s.data.Attribution == metrics.ByAddress {
		return attributeByAddress(group, owners, byAddress)
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
		for _, p := range o.fleet.pods {
			if p.promised {
				continue // at the gate it holds nothing
			}
			if ready == p.opened(s) {
				taken := min(n, max(0, p.grants[o.use]-p.observed[o.use]))
				p.observed[o.use] += taken
				n -= taken
			}
		}
	}
	return n
}

func attributeByAddress(group metrics.Sessions, owners []owner, byAddress map[string]*pod) int {
	if group.Address == "" {
		return group.Count
	}
	// Pods on the host's network share an address: each up to its grant, what
	// is more is the first one's.
	left := group.Count
	var first *int
	for _, o := range owners {
		for p := byAddress[group.Address]; p != nil; p = p.sibling {
			if p.fleet != o.fleet {
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
		for _, p := range o.fleet.pods {
			if p.excused == nil {
				p.excused = make([]int, len(p.grants))
			}
			unused := p.grants[o.use] - p.excused[o.use]
			if s.data.Attribution == metrics.ByAddress {
				if p.Address != "" {
					continue
				}
			} else {
				if !p.promised && p.opened(s) {
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
func (p *pod) opened(s *server) bool {
	seen := p.remembered.ReadySeen
	return p.Ready && !seen.IsZero() && s.began.After(seen)
}

// constrain makes the accounts of the servers' limits and numbers them, and looks up
// what was asked about logins.
func constrain(servers []*server) []*constraint {
	var all []*constraint
	for _, s := range servers {
		if s.unknown != "" {
			continue
		}
		s.logins = map[login]*metrics.Login{}
		for i := range s.data.Logins {
			l := &s.data.Logins[i]
			if key := (login{l.User, l.Database}); s.logins[key] == nil {
				s.logins[key] = l
			}
		}
		for _, def := range s.data.Constraints {
			c := &constraint{server: s, name: s.label() + " " + def.Name, def: def, index: len(all)}
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
