// Package policyfiles reads policies from files, for commands that need no server:
// plain policies and those in ConfigMaps and lists, among any manifests, in files and
// directories.
package policyfiles

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/policy"
)

// Load reads the policies in files, and in the YAML and JSON files in and below
// directories, and puts them together; it may be that there are none. An error tells all
// that is wrong with them; warnings are left to `headroom lint`.
func Load(paths []string) (policy.Set, error) {
	var documents []policy.Document
	var problems []policy.Problem
	places := Texts{}
	for _, path := range paths {
		files, err := Below(path)
		if err != nil {
			return policy.Set{}, err
		}
		for _, file := range files {
			content, err := Read(file)
			if err != nil {
				return policy.Set{}, fmt.Errorf("%s: %w", file, err)
			}
			texts, others := Take(file, "", content)
			if i := slices.IndexFunc(others, func(o Object) bool { return o.APIVersion == "" }); i >= 0 && file == filepath.Clean(path) {
				return policy.Set{}, fmt.Errorf("%s:%d: expected policies, or manifests with an apiVersion and a kind, found something without", file, others[i].Root.Line)
			}
			for _, text := range texts {
				found, wrong := places.Add(text)
				documents, problems = append(documents, found...), append(problems, wrong...)
			}
		}
	}
	set, wrong := policy.Resolve(documents)
	problems = append(problems, wrong...)
	if policy.HasErrors(problems) {
		return policy.Set{}, fmt.Errorf("expected policies without errors (headroom lint says more), found\n%s", places.errorsOf(problems))
	}
	return set, nil
}

// errorsOf writes the errors, one a line, as compilers do.
func (t Texts) errorsOf(problems []policy.Problem) string {
	var lines []string
	for _, p := range problems {
		if p.Severity == policy.SeverityError {
			var in Text
			in, p.Line, p.Column = t.Place(p)
			p.Where = in.File
			lines = append(lines, p.String())
		}
	}
	return strings.Join(lines, "\n")
}
