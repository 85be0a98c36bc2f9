package memory

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/policies"
)

// Name returns the name of a database's object: legal, stable, and no other
// database's.
func Name(database metrics.ID) string {
	sum := sha256.Sum256([]byte(database.String()))
	readable := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, database.Namespace+"-"+database.Name)
	return "headroom-memory-" + strings.Trim(readable[:min(len(readable), 150)], "-") + "-" + hex.EncodeToString(sum[:5])
}

// recordOf is what a decision says that should be remembered of a database, but
// for the policies.
func recordOf(d scaler.Decision, database metrics.ID) record {
	m := d.Ledger.Databases[database]
	last := m.Last
	last.Sessions = nil
	r := record{Version: version, Database: database, Server: m.Server, Last: last, Others: m.Others}
	for _, w := range d.Group.Workloads {
		if !slices.ContainsFunc(w.Databases, func(u policy.Use) bool { return u.Database == database }) {
			continue
		}
		memory := d.Ledger.Workloads[w.ID]
		if r.Workloads == nil {
			r.Workloads = map[metrics.ID]workload{}
		}
		r.Workloads[w.ID] = workload{PerPod: memory.PerPod[database], Told: memory.Told}
	}
	return r
}

// concerning returns the policies that describe a database or a workload on it.
func concerning(kept []policies.Describing, set policy.Set, database metrics.ID) []policies.Kept {
	on := map[metrics.ID]bool{}
	for _, w := range set.Workloads {
		on[w.ID] = slices.ContainsFunc(w.Databases, func(u policy.Use) bool { return u.Database == database })
	}
	var out []policies.Kept
	for _, k := range kept {
		if slices.Contains(k.Databases, database) || slices.ContainsFunc(k.Workloads, func(id metrics.ID) bool { return on[id] }) {
			out = append(out, k.Kept)
		}
	}
	return out
}

// maxPlanLines bounds the plan in short.
const maxPlanLines = 200

// inShort is a plan for a person who has nothing but kubectl.
func inShort(p policy.Plan, database metrics.ID) string {
	var lines []string
	line := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, d := range p.Databases {
		if d.ID != database {
			continue
		}
		if d.Unknown != "" {
			line("database %s: unknown: %s", d.ID, d.Unknown)
		}
		for _, c := range d.Constraints {
			line("database %s %s: limit %d, reserve %d, used %d, others %d (high water %d), ghosts %d, granted %d, budget %d, free %d",
				d.ID, c.Name, c.Limit, c.Reserve, c.Used, c.Others, c.OthersHighWater, c.Ghosts, c.Granted, c.Budget, c.Free)
		}
	}
	for _, w := range p.Workloads {
		if slices.ContainsFunc(w.Uses, func(u policy.UsePlan) bool { return u.Database == database }) {
			line("workload %s: %s, target %d of ceiling %d, replicas %d, %s: %s", w.ID, w.Mode, w.Target, w.Ceiling, w.Replicas, w.Reason, w.Sentence)
		}
	}
	if len(lines) > maxPlanLines {
		lines = append(lines[:maxPlanLines], fmt.Sprintf("and %d more", len(lines)-maxPlanLines))
	}
	return strings.Join(lines, "\n") + "\n"
}

// rises reports whether a record says something that must not be lost: more than
// before was written.
func (r record) rises(before record) bool {
	if r.Server != before.Server || r.Installation != before.Installation || !slices.Equal(r.Policies, before.Policies) ||
		!slices.Equal(r.Last.Constraints, before.Last.Constraints) {
		return true
	}
	for name, p := range r.Others {
		if most(p) > most(before.Others[name]) || !p.Since.Equal(before.Others[name].Since) {
			return true
		}
	}
	for id, w := range r.Workloads {
		b, known := before.Workloads[id]
		if !known || most(w.PerPod) > most(b.PerPod) || most(w.Told) > most(b.Told) {
			return true
		}
	}
	return false
}

// most is the largest value of a peak, -1 where there is none.
func most(p policy.Peak) int {
	if len(p.Values) == 0 {
		return -1
	}
	return p.Values[0].Value
}
