package lint

import (
	"cmp"
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/policy"
)

// Finding is one thing that is wrong.
type Finding struct {
	File string `json:"file"`
	// Line and Column count from 1; 0 is unknown.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Object names what carries the policy inside the file, "" for the file
	// itself.
	Object   string          `json:"object,omitempty"`
	Severity policy.Severity `json:"severity"`
	Code     policy.Code     `json:"code"`
	Field    string          `json:"field,omitempty"`
	Value    string          `json:"value,omitempty"`
	Rule     string          `json:"rule"`
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
	Findings []Finding `json:"findings"`
	// Skipped are documents that are none of ours.
	Skipped []skipped `json:"skipped"`
	// Files were read, and Policies are the documents in them that are right by
	// themselves.
	Files    []string `json:"files"`
	Policies int      `json:"policies"`
	Errors   int      `json:"errors"`
	Warnings int      `json:"warnings"`
}

// judge reads every policy in the inputs, alone and then together.
func judge(inputs []input) Report {
	r := Report{Findings: []Finding{}, Skipped: []skipped{}, Files: []string{}}
	var documentsFound []policy.Document
	places := map[string]candidate{}
	recognized := 0
	add := func(problems []policy.Problem) {
		for _, p := range problems {
			c := places[p.Where]
			line, column := c.place(p.Line, p.Column)
			r.Findings = append(r.Findings, Finding{
				File: c.file, Line: line, Column: column, Object: c.object,
				Severity: p.Severity, Code: p.Code, Field: p.Field, Value: p.Value, Rule: p.Rule,
			})
		}
	}
	for _, in := range inputs {
		r.Files = append(r.Files, in.name)
		if in.err != nil {
			r.Findings = append(r.Findings, in.finding())
			recognized++
			continue
		}
		candidates, others := documents(in)
		r.Skipped = append(r.Skipped, others...)
		recognized += len(candidates)
		for _, c := range candidates {
			places[c.source.Where] = c
			found, problems := policy.Parse(c.source, c.text)
			add(problems)
			documentsFound = append(documentsFound, found...)
		}
	}
	r.Policies = len(documentsFound)
	_, problems := policy.Resolve(documentsFound)
	add(problems)
	if recognized == 0 {
		r.Findings = append(r.Findings, nothing(r))
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	for _, f := range r.Findings {
		if f.Severity == policy.SeverityError {
			r.Errors++
		} else {
			r.Warnings++
		}
	}
	return r
}

// nothing is the finding that there was nothing to judge: a wrong path must not
// look like a good policy.
func nothing(r Report) Finding {
	f := Finding{
		Severity: policy.SeverityError, Code: "NothingFound",
		Rule: "expected at least one policy (apiVersion: " + policy.APIVersion + ", kind: " + policy.Kind + "), or a ConfigMap labeled " + policyLabel + `: "true"`,
	}
	if len(r.Files) > 0 {
		f.File = r.Files[0]
	}
	var others []string
	for _, s := range r.Skipped {
		if !slices.Contains(others, s.What) {
			others = append(others, s.What)
		}
	}
	if len(others) > 0 {
		f.Value = "only " + strings.Join(others, ", ")
	}
	return f
}
