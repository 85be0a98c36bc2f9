package policies

import (
	"cmp"
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// Result is what one change of the inputs led to.
type Result struct {
	// Set is the policy in force, and InForce whether there is any: not before
	// every origin was read, and not where nothing was ever right.
	Set     policy.Set
	InForce bool
	// Valid is false where something of what was read did not take effect.
	Valid bool
	// Documents are all documents, each name once.
	Documents []Document
	// Problems are everything that is wrong, warnings too.
	Problems []policy.Problem
	// Verdicts are those on every input, by Where.
	Verdicts []Verdict
	// Frozen are the workloads of the set whose policy was taken back. Those in mode
	// Observe are only there to be let go.
	Frozen []metrics.ID
	// Kept are the last good versions of what is in force, for [Keeper.Restore],
	// each with what it describes.
	Kept []Describing
}

// stopped counts the workloads that somebody has stopped.
func (r Result) stopped() int {
	n := 0
	for _, w := range r.Set.Workloads {
		if w.Stopped {
			n++
		}
	}
	return n
}

// Document is one policy document, or an input in which none could be found: its
// Name is then that of the input.
type Document struct {
	Namespace, Name string
	// Valid is whether its newest version is in force.
	Valid bool
}

// State is what became of the newest version of an input.
type State string

// The states.
const (
	Accepted State = "Accepted" // it is in force
	Rejected State = "Rejected" // it has an error, or can't be read
	Conflict State = "Conflict" // something else governs what it claims
)

// Verdict is what became of one input.
type Verdict struct {
	Input
	State State
	// LastGood is whether an earlier version is in force instead.
	LastGood bool
	// Problems are those of this input, warnings too.
	Problems []policy.Problem
}

// Describing is a kept version with the IDs of what it describes.
type Describing struct {
	Kept
	Databases, Workloads []metrics.ID
}

// documents returns the documents by name, and whether each one's newest version
// is in force.
func documents(verdicts []*verdict) []Document {
	valid := map[Document]bool{}
	note := func(d Document, is bool) {
		before, ok := valid[d]
		valid[d] = is && (before || !ok)
	}
	for _, v := range verdicts {
		accepted := v.State == Accepted
		if len(v.named) == 0 && !accepted {
			note(Document{Namespace: v.Source.Namespace, Name: cmp.Or(v.Source.Name, v.Name)}, false)
		}
		for _, d := range v.named {
			note(Document{Namespace: d.Source.Namespace, Name: cmp.Or(d.Source.Name, v.Name)}, accepted)
		}
	}
	var out []Document
	for d, is := range valid {
		d.Valid = is
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Document) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return out
}
