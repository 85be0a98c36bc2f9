package policies

import "github.com/keda-headroom/headroom/policy"

// Found is everything that an origin found: what is missing from it was taken
// back.
type Found struct {
	Inputs []Input
	// Unread says of which inputs it is not known whether they are there.
	Unread []Unread
}

// Input is one text that may hold policy documents.
type Input struct {
	// Key is the input's own among those of its origin, and stays the same.
	Key string
	// Source goes into every document and problem. Its Where is never empty.
	Source policy.Source
	// Name names the input where no document can be found in it.
	Name string
	// Stopped names the workloads that the object it stands in has stopped, [StopAll]
	// for all of them; the same for all inputs of one object. It takes effect at
	// once, also where Content has an error.
	Stopped []string
	// UID is that of the Kubernetes object it stands in, "" where there is none.
	UID string
	// Content is its text; it must not be changed afterwards. Err says in words
	// why there is none.
	Content []byte
	Err     error
}

// Unread is a place that could not be looked into.
type Unread struct {
	// Where names it to a person, and Err says why.
	Where string
	Err   error
	// Covers reports whether an input of this key may be in it.
	Covers func(key string) bool
}

// Kept is the last good version of an input, which outlives the process.
type Kept struct {
	Origin, Key string
	Source      policy.Source
	Content     []byte
}

// CodeUnreadable is the code of an input that can't be read.
const CodeUnreadable policy.Code = "Unreadable"

// CodeDeleted is the code of a policy that was taken back while its workloads
// were not opted out (warning).
const CodeDeleted policy.Code = "Deleted"

func unreadable(where string, err error) policy.Problem {
	return policy.Problem{Severity: policy.SeverityError, Code: CodeUnreadable, Where: where, Rule: err.Error()}
}
