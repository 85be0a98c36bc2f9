// Package policyfiles reads policies from files, for commands that need no server.
package policyfiles

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/keda-headroom/headroom/policy"
)

// Load reads files of policies and puts them together. An error tells all that is
// wrong with them; warnings are left to `headroom lint`.
func Load(paths []string) (policy.Set, error) {
	var documents []policy.Document
	var problems []policy.Problem
	for _, path := range paths {
		data, err := read(path)
		if err != nil {
			return policy.Set{}, err
		}
		found, wrong := policy.Parse(policy.Source{Where: path}, data)
		documents, problems = append(documents, found...), append(problems, wrong...)
	}
	set, wrong := policy.Resolve(documents)
	problems = append(problems, wrong...)
	if !policy.HasErrors(problems) {
		return set, nil
	}
	var lines []string
	for _, p := range problems {
		if p.Severity == policy.SeverityError {
			lines = append(lines, p.String())
		}
	}
	return policy.Set{}, fmt.Errorf("expected policies without errors, found\n%s", strings.Join(lines, "\n"))
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, policy.MaxInput+1)) // one more, and Parse says that it is too large
}
