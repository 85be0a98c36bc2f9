package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity says what a problem does to its document.
type Severity string

// The severities.
const (
	SeverityError   Severity = "Error"   // the document contributes nothing
	SeverityWarning Severity = "Warning" // the document is in force; somebody should look
	SeverityNote    Severity = "Note"    // nothing is wrong; it is good to know
)

// Code is what kind of problem it is: stable, for machines.
type Code string

// The codes. All but the last five are errors of one document by itself.
const (
	CodeSyntax       Code = "Syntax"       // not YAML, or not a policy document at all
	CodeTooLarge     Code = "TooLarge"     // more than may be read
	CodeVersion      Code = "Version"      // an apiVersion or kind that is not read here
	CodeUnknownField Code = "UnknownField" // a key that means nothing here
	CodeDuplicate    Code = "Duplicate"    // the same thing twice in one document
	CodeRequired     Code = "Required"     // something is missing, or one choice too many is given
	CodeValue        Code = "Value"        // a value of the wrong type or out of its bounds
	CodeInconsistent Code = "Inconsistent" // two values that contradict each other

	CodeConflict          Code = "Conflict"          // an older document claims the same (error)
	CodeDatabaseMissing   Code = "DatabaseMissing"   // no policy describes a database (warning; the workload is refused)
	CodeUnauthorized      Code = "Unauthorized"      // a database does not admit the workload (warning; the workload is refused)
	CodeIneffective       Code = "Ineffective"       // a setting has no effect (warning)
	CodeIndistinguishable Code = "Indistinguishable" // two workloads look alike to a database (warning)
)

// Problem is one thing that is wrong with a policy, in words for its author. It
// never holds a value that could be a secret.
type Problem struct {
	Severity Severity `json:"severity"`
	Code     Code     `json:"code"`
	// Where names the input ([Source].Where). Line and Column count from 1 in
	// it; 0 is unknown.
	Where  string `json:"where,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	// Field is the path of what is wrong ("workloads[0].sqs.messagesPerPod"), ""
	// for the document as a whole.
	Field string `json:"field,omitempty"`
	// Value is what was found, as a person would name it ("0", "\"often\"", "a
	// list"); "" where there is nothing to show.
	Value string `json:"value,omitempty"`
	// Rule says what was expected, or what to do.
	Rule string `json:"rule"`
}

// String returns one line, as compilers write it:
//
//	shop.yaml:14:5: workloads[0].sqs.messagesPerPod: expected a whole number of 1 or more, found 0
func (p Problem) String() string {
	var out strings.Builder
	if p.Where != "" {
		out.WriteString(p.Where + ":")
	}
	if p.Line > 0 {
		fmt.Fprintf(&out, "%d:", p.Line)
		if p.Column > 0 {
			fmt.Fprintf(&out, "%d:", p.Column)
		}
	}
	if out.Len() > 0 {
		out.WriteString(" ")
	}
	switch p.Severity {
	case SeverityWarning:
		out.WriteString("warning: ")
	case SeverityNote:
		out.WriteString("note: ")
	case SeverityError: // the usual thing, and not said
	}
	if p.Field != "" {
		out.WriteString(p.Field + ": ")
	}
	out.WriteString(p.Rule)
	if p.Value != "" {
		out.WriteString(", found " + p.Value)
	}
	return out.String()
}

// HasErrors reports whether any of the problems keeps a document out of force.
func HasErrors(problems []Problem) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return p.Severity == SeverityError })
}

// docSort puts problems in the order in which a person reads the documents.
func docSort(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(
			strings.Compare(a.Where, b.Where),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
			strings.Compare(a.Field, b.Field),
			strings.Compare(a.Rule, b.Rule),
		)
	})
}
