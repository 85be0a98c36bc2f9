package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/metrics"
)

// docClaim is a thing that one document alone may govern.
type docClaim struct {
	what string // "database", "workload", "ScaledObject", "Deployment"
	id   metrics.ID
}

// kind names what kind of object is meant, whatever its version: "Deployment" of
// Kubernetes' own apps, "Rollout.argoproj.io" of anybody else's.
func (r docScaleTargetRef) kind() string {
	group, _, found := strings.Cut(r.APIVersion, "/")
	if !found || group == "apps" {
		return r.Kind
	}
	return r.Kind + "." + group
}

// labels are the selector as one text, sorted by name.
func (s docPodSelector) labels() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(s.MatchLabels)) {
		parts = append(parts, name+"="+s.MatchLabels[name])
	}
	return strings.Join(parts, ",")
}

// docClaims are the documents that govern things.
type docClaims map[docClaim]Document

// claimed calls do with everything that a document claims, and where.
func (d Document) claimed(do func(claim docClaim, path string)) {
	id := func(name string) metrics.ID { return metrics.ID{Namespace: d.Source.Namespace, Name: name} }
	for i, database := range d.policy.Databases {
		do(docClaim{"database", id(database.Name)}, fmt.Sprintf("databases[%d].name", i))
	}
	for i, w := range d.policy.Workloads {
		do(docClaim{"workload", id(w.Name)}, fmt.Sprintf("workloads[%d].name", i))
		if w.ScaledObjectRef != nil {
			do(docClaim{"ScaledObject", id(w.ScaledObjectRef.Name)}, fmt.Sprintf("workloads[%d].scaledObjectRef.name", i))
		}
		if w.ScaledJobRef != nil {
			do(docClaim{"ScaledJob", id(w.ScaledJobRef.Name)}, fmt.Sprintf("workloads[%d].scaledJobRef.name", i))
		}
		if w.ScaleTargetRef != nil {
			do(docClaim{w.ScaleTargetRef.kind(), id(w.ScaleTargetRef.Name)}, fmt.Sprintf("workloads[%d].scaleTargetRef.name", i))
		}
		if w.PodSelector != nil {
			do(docClaim{"the selector of pods", id(w.PodSelector.labels())}, fmt.Sprintf("workloads[%d].podSelector.matchLabels", i))
		}
	}
}

// claim makes d govern everything that it claims.
func (c docClaims) claim(d Document) {
	d.claimed(func(claim docClaim, _ string) { c[claim] = d })
}

// conflicts says what of d another document governs already.
func (c docClaims) conflicts(d Document) []Problem {
	var problems []Problem
	d.claimed(func(claim docClaim, path string) {
		if older, taken := c[claim]; taken {
			problems = append(problems, d.problem(SeverityError, CodeConflict, path, "", fmt.Sprintf(
				"%s %s is governed by the policy at %s, which comes first (the oldest does, then by name): nothing of this document is in force",
				claim.what, claim.id, older.place())))
		}
	})
	return problems
}

// place names a document to a person.
func (d Document) place() string {
	if d.Source.Where == "" {
		return fmt.Sprintf("line %d of another input", d.line)
	}
	return fmt.Sprintf("%s:%d", d.Source.Where, d.line)
}
