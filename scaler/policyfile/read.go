package policyfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/policies"
)

// file is one file as it was found.
type file struct {
	path    string
	content []byte
	err     error // it could not be read
}

// list is all files under the given paths as they were found, by path.
type list struct {
	files []file
	// missing says of which paths it is not known what is under them.
	missing []missing
}

type missing struct {
	path string
	err  error
}

// read reads every file among paths and in the directories among them.
func read(paths []string) list {
	var out list
	seen := map[string]bool{}
	add := func(path string) {
		if !seen[path] {
			seen[path] = true
			content, err := readFile(path)
			out.files = append(out.files, file{path: path, content: content, err: err})
		}
	}
	for _, path := range paths {
		path = filepath.Clean(path)
		info, err := os.Stat(path)
		if err != nil {
			out.missing = append(out.missing, missing{path, err})
			continue
		}
		if !info.IsDir() {
			add(path)
			continue
		}
		names, err := policiesIn(path)
		if err != nil {
			out.missing = append(out.missing, missing{path, err})
			continue
		}
		for _, name := range names {
			add(filepath.Join(path, name))
		}
	}
	slices.SortFunc(out.files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	return out
}

// policiesIn returns the names of the YAML and JSON files in a directory. Hidden
// ones are left out: Kubernetes keeps the versions of a mounted ConfigMap there,
// and links to the present one.
func policiesIn(directory string) ([]string, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") || !slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(name))) {
			continue
		}
		info, err := os.Stat(filepath.Join(directory, name)) // what a link leads to
		if errors.Is(err, os.ErrNotExist) {
			continue // it went away meanwhile
		}
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			names = append(names, name)
		}
	}
	return names, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return nil, fmt.Errorf("expected %s to be a file or a directory, found something else (%s)", path, info.Mode().Type())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()                        // nothing was written
	return io.ReadAll(io.LimitReader(f, policy.MaxInput+1)) // more is refused when it is parsed
}

// found is the list as it is judged: an input's key is its path.
func (l list) found() policies.Found {
	var out policies.Found
	for _, f := range l.files {
		in := policies.Input{Key: f.path, Source: policy.Source{Where: f.path}, Name: filepath.Base(f.path), Content: f.content}
		if f.err != nil {
			in.Err = unread(f.err)
		}
		out.Inputs = append(out.Inputs, in)
	}
	for _, m := range l.missing {
		out.Unread = append(out.Unread, policies.Unread{Where: m.path, Err: unread(m.err), Covers: func(path string) bool {
			return path == m.path || strings.HasPrefix(path, m.path+string(filepath.Separator))
		}})
	}
	return out
}

func unread(err error) error {
	return fmt.Errorf("expected a file or a directory that can be read: %w", err)
}

// same reports whether two lists hold the same bytes and the same faults.
func (l list) same(other list) bool {
	return slices.EqualFunc(l.files, other.files, func(a, b file) bool {
		return a.path == b.path && string(a.content) == string(b.content) && sameError(a.err, b.err)
	}) && slices.EqualFunc(l.missing, other.missing, func(a, b missing) bool {
		return a.path == b.path && sameError(a.err, b.err)
	})
}

func sameError(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.Error() == b.Error()
}
