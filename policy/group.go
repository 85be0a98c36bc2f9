package policy

import (
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/metrics"
)

// Group is databases that share pods, and all workloads on them: what has to be
// decided together. Both are ordered by ID.
type Group struct {
	Databases []Database `json:"databases"`
	Workloads []Workload `json:"workloads"`
}

// Name names the group after its first database, or after its only workload
// where no database could be resolved.
func (g Group) Name() string {
	if len(g.Databases) > 0 {
		return g.Databases[0].ID.String()
	}
	return "workload " + g.Workloads[0].ID.String()
}

// Database returns the policy of the database id in this group.
func (g Group) Database(id metrics.ID) (Database, bool) {
	i, ok := slices.BinarySearchFunc(g.Databases, id, func(d Database, id metrics.ID) int { return d.ID.Compare(id) })
	if !ok {
		return Database{}, false
	}
	return g.Databases[i], true
}

// Workload returns the policy of the workload id in this group.
func (g Group) Workload(id metrics.ID) (Workload, bool) {
	i, ok := slices.BinarySearchFunc(g.Workloads, id, func(w Workload, id metrics.ID) int { return w.ID.Compare(id) })
	if !ok {
		return Workload{}, false
	}
	return g.Workloads[i], true
}

// Groups divides the set into the smallest groups that can be decided apart.
// alias says which databases are known to be one server by two names (see
// [Ledger.Servers]); it may be nil. Groups are ordered by name.
func (s Set) Groups(alias map[metrics.ID]string) []Group {
	parent := map[metrics.ID]metrics.ID{}
	var root func(id metrics.ID) metrics.ID
	root = func(id metrics.ID) metrics.ID {
		if parent[id] == id {
			return id
		}
		parent[id] = root(parent[id])
		return parent[id]
	}
	join := func(a, b metrics.ID) {
		a, b = root(a), root(b)
		if b.Less(a) {
			a, b = b, a
		}
		parent[b] = a
	}
	for _, d := range s.Databases {
		parent[d.ID] = d.ID
	}
	byServer := map[string]metrics.ID{}
	for _, d := range s.Databases {
		server := alias[d.ID]
		if server == "" {
			continue
		}
		if first, ok := byServer[server]; ok {
			join(first, d.ID)
		} else {
			byServer[server] = d.ID
		}
	}
	for _, w := range s.Workloads {
		for i := range w.Databases {
			join(w.Databases[0].Database, w.Databases[i].Database)
		}
	}
	byRoot := map[metrics.ID]*Group{}
	var order []metrics.ID
	for _, d := range s.Databases {
		r := root(d.ID)
		if byRoot[r] == nil {
			byRoot[r] = &Group{}
			order = append(order, r)
		}
		byRoot[r].Databases = append(byRoot[r].Databases, d)
	}
	var groups []Group
	for _, w := range s.Workloads {
		if len(w.Databases) == 0 {
			groups = append(groups, Group{Workloads: []Workload{w}})
			continue
		}
		g := byRoot[root(w.Databases[0].Database)]
		g.Workloads = append(g.Workloads, w)
	}
	for _, r := range order {
		g := byRoot[r]
		slices.SortFunc(g.Databases, func(a, b Database) int { return a.ID.Compare(b.ID) })
		slices.SortFunc(g.Workloads, func(a, b Workload) int { return a.ID.Compare(b.ID) })
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(a, b Group) int { return strings.Compare(a.Name(), b.Name()) })
	return groups
}
