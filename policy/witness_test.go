package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// witness checks the decision that is due by arithmetic of its own on what was
// read, and writes down what the next check needs. Where it can't be sure it
// counts too little.
func (u *universe) witness(plan Plan) {
	u.notice()
	for i, w := range u.group.Workloads {
		p := plan.Workloads[i]
		for _, a := range p.Admissions {
			u.issued[a.UID] = issue{a.Version, a.Grant}
		}
		if why, sure := u.frozen(plan, w); why == "" {
			granted := map[metrics.ID]int{}
			for j, use := range w.Databases {
				granted[use.Database] = p.Uses[j].Granted
				for _, a := range p.Admissions {
					if _, counted := u.counted[w.ID][a.UID]; !counted {
						granted[use.Database] += a.Grant[use.Database.String()]
					}
				}
				if u.starting(plan, w) || !sure {
					granted[use.Database] = max(granted[use.Database], u.granted[w.ID][use.Database])
				}
			}
			u.granted[w.ID] = granted
		}
	}
	for _, sv := range u.readable(plan) {
		u.seen = append(u.seen, sighting{sv.identity, sv.names, sv.began, sv.others})
	}
}

// notice brings the list of pods that may hold connections up to date.
func (u *universe) notice() {
	for _, w := range u.group.Workloads {
		state, known := u.snapshot.Fleets[w.ID].Last()
		if !known {
			continue
		}
		now := map[string]countedPod{}
		forgotten := map[string]bool{}
		for _, p := range state.Pods {
			promised, ok := u.issued[p.UID]
			if ok && p.Gated && p.Version != promised.version {
				ok = false // written to since: the patch is turned away
				delete(u.issued, p.UID)
			}
			if p.Gated {
				forgotten[p.UID] = true
			}
			if p.Finished || p.Gated && !ok && strings.HasPrefix(p.Epoch, term) {
				continue
			}
			pod := countedPod{grants: map[metrics.ID]int{}, addr: p.Address}
			for _, use := range w.Databases {
				grant, stamped := p.Grant[use.Database.String()]
				if !stamped {
					grant = use.ConnectionsPerPod
				}
				pod.grants[use.Database] = max(grant, promised.grants[use.Database.String()])
			}
			now[p.UID] = pod
		}
		for uid, pod := range u.counted[w.ID] {
			if _, living := now[uid]; !living && !forgotten[uid] {
				pod.left = u.now
				u.gone[w.ID] = append(u.gone[w.ID], pod)
			}
		}
		u.counted[w.ID] = now
	}
}

// readServer is what the newest reading of a server says.
type readServer struct {
	identity string
	names    []metrics.ID
	policies []Database
	began    time.Time
	data     metrics.Database
	full     bool
	used     map[string]int // by constraint
	others   map[string]int
}

// readable returns the servers that a plan could read, by raw counts.
func (u *universe) readable(plan Plan) map[string]*readServer {
	out := map[string]*readServer{}
	for i, d := range plan.Databases {
		if d.Server == "" {
			continue
		}
		sv := out[d.Server]
		if sv == nil {
			sv = &readServer{identity: d.Server}
			out[d.Server] = sv
		}
		sv.names = append(sv.names, d.ID)
		sv.policies = append(sv.policies, u.group.Databases[i])
		r := u.snapshot.Databases[d.ID]
		if d.Unknown == "" && (sv.began.IsZero() || r.Began().After(sv.began)) {
			sv.data, _ = r.Last()
			sv.began, sv.full = r.Began(), sv.data.Full
		}
	}
	for id, sv := range out {
		if sv.full || sv.began.IsZero() {
			delete(out, id) // tells nothing of who is there
			continue
		}
		sv.used, sv.others = map[string]int{}, map[string]int{}
		for _, c := range sv.data.Constraints {
			for _, g := range sv.data.Sessions {
				if c.Counts(g.User, g.Database) {
					sv.used[c.Name] += g.Count
					if !u.governed(sv, g) {
						sv.others[c.Name] += g.Count
					}
				}
			}
		}
	}
	return out
}

// on returns a workload's uses of a server.
func (sv *readServer) on(w Workload) []Use {
	var uses []Use
	for _, use := range w.Databases {
		for _, name := range sv.names {
			if use.Database == name {
				uses = append(uses, use)
			}
		}
	}
	return uses
}

func (u *universe) governed(sv *readServer, g metrics.Sessions) bool {
	for _, w := range u.group.Workloads {
		for _, use := range sv.on(w) {
			if use.User == g.User && g.Database == "orders" && strings.HasPrefix(g.Application, use.ApplicationName) {
				return true
			}
		}
	}
	return false
}

// promised is the part of all grants that a reading does not show, on one
// constraint.
func (u *universe) promised(sv *readServer, c metrics.Constraint) int {
	granted, seen := map[string]int{}, map[string]int{}
	for _, w := range u.group.Workloads {
		for _, use := range sv.on(w) {
			if !c.Counts(use.User, "orders") {
				continue
			}
			for uid, p := range u.counted[w.ID] {
				place := p.addr
				if place == "" {
					place = uid // nothing of it can be visible
				}
				granted[place] += p.grants[use.Database]
			}
			for _, p := range u.gone[w.ID] {
				if !sv.began.After(p.left) {
					granted[p.addr] += p.grants[use.Database]
				}
			}
		}
	}
	for _, g := range sv.data.Sessions {
		if c.Counts(g.User, g.Database) && u.governed(sv, g) {
			seen[g.Address] += g.Count
		}
	}
	sum := 0
	if sv.data.Attribution == metrics.ByLogin {
		for _, n := range granted {
			sum += n
		}
		return max(0, sum-seen[""])
	}
	for place, n := range granted {
		sum += max(0, n-seen[place])
	}
	return sum
}

// high is the most that others were on one constraint within the window.
func (u *universe) high(sv *readServer, c metrics.Constraint) int {
	most := sv.others[c.Name]
	for _, s := range u.seen {
		if s.server != sv.identity || u.now.Sub(s.began) > sv.policies[0].OthersWindow {
			continue
		}
		for _, a := range s.names {
			for _, b := range sv.names {
				if a == b {
					most = max(most, s.others[c.Name])
				}
			}
		}
	}
	return most
}

// breach says where a plan admits pods though by the rule of DESIGN.md
//
//	used + Σ max(0, grant − observed) + grant(pod) ≤ limit − reserve − max(0, high water − others)
//
// there is no room for all of them; "" where it keeps to that.
func (u *universe) breach(plan Plan) string {
	for _, sv := range u.readable(plan) {
		for _, c := range sv.data.Constraints {
			reserve, more, who := 0, 0, ""
			for _, p := range sv.policies {
				if c.User == "" {
					reserve = max(reserve, min(c.Limit, p.Reserve.Up(c.Limit)))
				}
			}
			for i, w := range u.group.Workloads {
				for _, a := range plan.Workloads[i].Admissions {
					if _, counted := u.counted[w.ID][a.UID]; counted {
						continue // said before, and counted since
					}
					for _, use := range sv.on(w) {
						if c.Counts(use.User, "orders") {
							more += a.Grant[use.Database.String()]
							who += " " + a.UID
						}
					}
				}
			}
			promised, high := u.promised(sv, c), u.high(sv, c)
			if more > 0 && sv.used[c.Name]+promised+more > c.Limit-reserve-max(0, high-sv.others[c.Name]) {
				return fmt.Sprintf("%s on %s admits%s with %d connections, with %d used, %d promised, %d others (high water %d), of %d less %d reserved",
					c.Name, sv.identity, who, more, sv.used[c.Name], promised, sv.others[c.Name], high, c.Limit, reserve)
			}
		}
	}
	return ""
}

// frozen says why a workload may not grow in a plan, as far as is known of its
// databases and pods, and "" where it may. It is not sure while a server is full
// and an older reading speaks for it.
func (u *universe) frozen(plan Plan, w Workload) (why string, sure bool) {
	sure = true
	if _, fresh := u.snapshot.Fleets[w.ID].At(u.now, fleetMaxAge); !fresh {
		return "its pods have no fresh reading", true
	}
	if w.Refusal != nil {
		return w.Refusal.Sentence, true
	}
	if w.Stopped {
		return "it was stopped", true
	}
	servers := u.readable(plan)
	for i, d := range plan.Databases {
		if !slices.ContainsFunc(w.Databases, func(use Use) bool { return use.Database == d.ID }) {
			continue
		}
		data, known := u.snapshot.Databases[d.ID].At(u.now, u.group.Databases[i].MaxReadingAge)
		switch {
		case !known:
			return d.ID.String() + " has no fresh reading", true
		case data.ReadOnly:
			return d.ID.String() + " is a replica", true
		case d.Unknown != "":
			return d.ID.String() + ": " + d.Unknown, true
		case servers[d.Server] == nil:
			sure = false
		case len(servers[d.Server].data.Logins) == 0:
			return d.ID.String() + " was not asked about the login", true
		}
	}
	return "", sure
}

func (u *universe) starting(plan Plan, w Workload) bool {
	for _, d := range plan.Databases {
		for _, use := range w.Databases {
			if d.ID == use.Database && d.Starting != "" {
				return true
			}
		}
	}
	return false
}
