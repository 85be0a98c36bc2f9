package lint

import (
	"errors"
	"io"

	"github.com/keda-headroom/headroom/internal/policyfiles"
	"github.com/keda-headroom/headroom/policy"
)

// input is one file.
type input struct {
	name    string
	content []byte
	err     error // it could not be read
	// namespace is that of what names none, "" for the default one.
	namespace string
}

// standardInput is how findings call what came from the standard input.
const standardInput = "<stdin>"

// gather reads every file that the paths name, each once, in order. It fails
// where a path leads nowhere.
func gather(paths []string, in io.Reader, namespace string) ([]input, error) {
	var inputs []input
	var wrong []error
	seen := map[string]bool{}
	add := func(name string, read func() ([]byte, error)) {
		if !seen[name] {
			seen[name] = true
			content, err := read()
			inputs = append(inputs, input{name, content, err, namespace})
		}
	}
	for _, path := range paths {
		if path == "-" {
			add(standardInput, func() ([]byte, error) { return policyfiles.ReadAll(in) })
			continue
		}
		files, err := policyfiles.Below(path)
		if err != nil {
			wrong = append(wrong, err)
		}
		for _, file := range files {
			add(file, func() ([]byte, error) { return policyfiles.Read(file) })
		}
	}
	return inputs, errors.Join(wrong...)
}

// finding is of an input that could not be read.
func (i input) finding() Finding {
	return Finding{File: i.name, Severity: policy.SeverityError, Code: "Unreadable", Rule: "expected a file that can be read", Value: i.err.Error()}
}
