package lint

import (
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/internal/inventory"
	"github.com/keda-headroom/headroom/policy"
)

// Finding is one thing that is wrong.
type Finding struct {
	File string `json:"file"`
	// Line and Column count from 1; 0 is unknown.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Object names what is wrong inside the file or in the cluster, "" for the
	// file itself.
	Object   string          `json:"object,omitempty"`
	Severity policy.Severity `json:"severity"`
	Code     policy.Code     `json:"code"`
	Field    string          `json:"field,omitempty"`
	Value    string          `json:"value,omitempty"`
	Rule     string          `json:"rule"`
	// Remedy is what to write instead, where that is not what Rule says.
	Remedy string `json:"remedy,omitempty"`

	namespace string
}

// String returns the finding as compilers write theirs.
func (f Finding) String() string {
	return f.problem(f.File).String()
}

// Message is what is wrong, without where in the file.
func (f Finding) Message() string {
	return f.problem("").String()
}

func (f Finding) problem(where string) policy.Problem {
	p := policy.Problem{Severity: f.Severity, Code: f.Code, Where: where, Field: f.Field, Value: f.Value, Rule: f.Rule}
	if f.Remedy != "" {
		p.Rule += "; " + f.Remedy
	}
	if where != "" {
		p.Line, p.Column = f.Line, f.Column
	}
	if f.Object != "" && f.Field != "" {
		p.Field = f.Object + ": " + f.Field
	} else if f.Object != "" {
		p.Field = f.Object
	}
	return p
}

// Report is everything that was found.
type Report struct {
	// Cluster is the URL of the API server that was read, "" for files. Missing
	// says what could not be judged there.
	Cluster  string    `json:"cluster,omitempty"`
	Missing  []string  `json:"missing,omitempty"`
	Findings []Finding `json:"findings"`
	// Skipped are documents that are none of ours.
	Skipped []skipped `json:"skipped"`
	// Files were read, and Policies are the documents in them that are right by
	// themselves.
	Files    []string `json:"files"`
	Policies int      `json:"policies"`
	// Fleets are the ScaledObjects and ScaledJobs that were judged, and what runs
	// the pods of policies that name no such.
	Fleets   int `json:"fleets"`
	Errors   int `json:"errors"`
	Warnings int `json:"warnings"`
	Notes    int `json:"notes"`
}

// nothing is the finding that there was nothing to judge: a wrong path must not
// look like a good policy.
func nothing(r Report, manifests []manifest) Finding {
	f := Finding{
		Severity: policy.SeverityError, Code: "NothingFound",
		Rule: "expected at least one policy (apiVersion: " + policy.APIVersion + ", kind: " + policy.Kind + "), a ConfigMap labeled " + inventory.PolicyLabel + `: "true", a ScaledObject or a ScaledJob`,
	}
	if len(r.Files) > 0 {
		f.File = r.Files[0]
	}
	var others []string
	for _, s := range r.Skipped {
		others = append(others, s.What)
	}
	for _, m := range manifests {
		others = append(others, m.APIVersion+" "+m.Kind)
	}
	slices.Sort(others)
	others = slices.Compact(others)
	if len(others) > 0 {
		f.Value = "only " + strings.Join(others, ", ")
	}
	return f
}
