package lint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

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

// maxFile bounds a file of manifests, in bytes. Each policy in it is bounded by
// policy.MaxInput besides.
const maxFile = 64 << 20

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
			if err == nil && len(content) > maxFile {
				err = fmt.Errorf("expected at most %d bytes, found more", maxFile)
			}
			inputs = append(inputs, input{name, content, err, namespace})
		}
	}
	for _, path := range paths {
		if path == "-" {
			add(standardInput, func() ([]byte, error) { return io.ReadAll(io.LimitReader(in, maxFile+1)) })
			continue
		}
		files, err := below(path)
		if err != nil {
			wrong = append(wrong, err)
		}
		for _, file := range files {
			add(file, func() ([]byte, error) { return readFile(file) })
		}
	}
	return inputs, errors.Join(wrong...)
}

// below returns a file, or the YAML and JSON files in and below a directory.
// Hidden files and directories are left out.
func below(path string) ([]string, error) {
	path = filepath.Clean(path)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(entry.Name(), ".") && at != path
		switch {
		case hidden && entry.IsDir():
			return filepath.SkipDir
		case hidden || entry.IsDir():
			return nil
		}
		if slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(at))) {
			files = append(files, at)
		}
		return nil
	})
	return files, err
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errors.New("expected a file, found a link to a directory")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// finding is of an input that could not be read.
func (i input) finding() Finding {
	return Finding{File: i.name, Severity: policy.SeverityError, Code: "Unreadable", Rule: "expected a file that can be read", Value: i.err.Error()}
}
