package policy

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// server is one database server as one decision sees it: what is known of it by
// whichever of its names was read last, under the strictest of its policies.
type server struct {
	policies []Database // one for each name, by ID
	unknown  string     // why there is no usable reading, "" where there is one
	// unread are names of this server that can't be read themselves right now:
	// what is on it by those names is counted, and frozen.
	unread   map[metrics.ID]string
	data     metrics.Database
	began    time.Time
	full     bool   // it refused our own login: data is the last good reading
	starting string // how long others must still be watched, "" once they were
	// logins are what was asked about who logs in as whom.
	logins map[login]*metrics.Login

	constraints []*constraint
	// others and ghosts say how many of each group of data.Sessions are which.
	others, ghosts []int
}

// login is a user of one of the server's databases.
type login struct{ user, database string }

// label names the server by its first policy.
func (s *server) label() string { return s.policies[0].ID.String() }

// window is the longest of the policies' windows.
func (s *server) window() time.Duration {
	return slices.MaxFunc(s.policies, func(a, b Database) int { return int(a.OthersWindow - b.OthersWindow) }).OthersWindow
}

// reserve is the largest of the policies' reserves of this limit. A role's limit
// has none: it is the lock of the workers' own role, nobody else is turned away
// by it.
func (s *server) reserve(c metrics.Constraint) int {
	reserve := 0
	if c.User != "" {
		return reserve
	}
	for _, p := range s.policies {
		reserve = max(reserve, p.Reserve.Up(c.Limit))
	}
	return min(reserve, c.Limit)
}

// identify tells which servers stand behind the group's database names. A name
// that starts to answer as another server (a DNS flip, a failover, a restart) is
// unknown until the new one is confirmed: by a second reading of this name, and
// by a reading of every other name of the old server, all begun after the change
// was seen. So two names for one server are never counted apart in between.
//
// It returns the servers, and the memory with identity and last reading renewed.
func identify(now time.Time, g Group, s Snapshot, l Ledger) ([]*server, map[metrics.ID]DatabaseMemory) {
	memory := map[metrics.ID]DatabaseMemory{}
	unknown := map[metrics.ID]string{}
	for _, p := range g.Databases {
		m := l.Databases[p.ID]
		reading := s.Databases[p.ID]
		data, ok := reading.At(now, p.MaxReadingAge)
		switch {
		case !ok:
			unknown[p.ID] = reading.Why(now, p.MaxReadingAge)
		case data.ReadOnly:
			unknown[p.ID] = "connected to a server in recovery (a read replica, or a writer that was demoted)"
		case data.Full && m.Server == "":
			unknown[p.ID] = "the server is full and was never read before"
		case data.Full:
			// Whoever refuses has no identity; the last good reading speaks.
		case m.Server == "":
			m.Server = data.Server
		case m.Server == data.Server:
			m.Next, m.Changed = "", time.Time{}
		case m.Next != data.Server:
			m.Next, m.Changed = data.Server, now
			unknown[p.ID] = "the name leads to another server than before, or the server was restarted: waiting for a second reading"
		case !reading.Began().After(m.Changed) || !othersReread(p.ID, m, s, l):
			unknown[p.ID] = "the name leads to another server than before, or the server was restarted: waiting for a second reading of every name it had"
		default:
			m.Server, m.Next, m.Changed = data.Server, "", time.Time{}
		}
		if unknown[p.ID] == "" && !data.Full {
			m.Last = data
		}
		memory[p.ID] = m
	}
	return gather(g, s, memory, unknown), memory
}

// othersReread reports whether every other name of the server that id used to be
// was read after the change was seen.
func othersReread(id metrics.ID, m DatabaseMemory, s Snapshot, l Ledger) bool {
	for other, om := range l.Databases {
		if other != id && om.Server == m.Server && !s.Databases[other].Began().After(m.Changed) {
			return false
		}
	}
	return true
}

// gather puts names of one server together. A name without a usable reading
// stays with the server that it was last known to lead to, as far as another name
// of that can be read; else it stays alone, and nothing is promised on it.
func gather(g Group, s Snapshot, memory map[metrics.ID]DatabaseMemory, unknown map[metrics.ID]string) []*server {
	var servers []*server
	byIdentity := map[string]*server{}
	for _, p := range g.Databases {
		if unknown[p.ID] != "" {
			continue
		}
		reading := s.Databases[p.ID]
		data, _ := reading.Last()
		sv := byIdentity[memory[p.ID].Server]
		if sv == nil {
			sv = &server{unread: map[metrics.ID]string{}}
			byIdentity[memory[p.ID].Server] = sv
			servers = append(servers, sv)
		}
		sv.policies = append(sv.policies, p)
		// The latest reading speaks for all names; a refusal is as good as any.
		if sv.began.IsZero() || reading.Began().After(sv.began) {
			sv.began, sv.full, sv.data = reading.Began(), data.Full, data
			if data.Full {
				sv.data = memory[p.ID].Last
			}
		}
	}
	for _, p := range g.Databases {
		why := unknown[p.ID]
		if why == "" {
			continue
		}
		sv := byIdentity[memory[p.ID].Server]
		if sv == nil { // it may have moved to where another name of it leads already
			sv = byIdentity[memory[p.ID].Next]
		}
		if sv != nil {
			sv.policies = append(sv.policies, p)
			sv.unread[p.ID] = why
			continue
		}
		servers = append(servers, &server{policies: []Database{p}, unknown: why})
	}
	return servers
}

// remember renews others' high water of a server that was read, in the memory of
// each of its names, and returns it by constraint.
func (s *server) remember(now time.Time, memory map[metrics.ID]DatabaseMemory) {
	window := s.window()
	for _, c := range s.constraints {
		c.OthersHighWater = c.Others
		watched := time.Duration(0)
		for _, p := range s.policies {
			m := memory[p.ID]
			peak := m.Others[c.Name]
			if !s.full {
				peak = peak.Add(s.began, c.Others, window)
			}
			if high, ok := peak.Max(now, window); ok {
				c.OthersHighWater = max(c.OthersHighWater, high)
			}
			watched = max(watched, peak.Watched(now))
			m.Others = maps.Clone(m.Others)
			if m.Others == nil {
				m.Others = map[string]Peak{}
			}
			m.Others[c.Name] = peak
			memory[p.ID] = m
		}
		if c.def.User == "" && c.def.Database == "" && watched < window {
			s.starting = fmt.Sprintf("others on %s have been watched for %s of %s", s.label(), watched.Round(time.Second), window)
		}
	}
}
