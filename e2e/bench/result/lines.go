package result

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Read reads results, one line of JSON each. Unknown fields are errors: results
// of another form would be read as zeros.
func Read(r io.Reader) ([]Result, error) {
	var out []Result
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			decoder := json.NewDecoder(bytes.NewReader(line))
			decoder.DisallowUnknownFields()
			var one Result
			if err := decoder.Decode(&one); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			out = append(out, one)
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// Write writes results, one line of JSON each.
func Write(w io.Writer, results []Result) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	for _, r := range results {
		if err := encoder.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// ReadFile reads a file of results; one that is missing has none.
func ReadFile(path string) ([]Result, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // nothing was written
	results, err := Read(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return results, nil
}

// WriteFile replaces a file of results, in one step.
func WriteFile(path string, results []Result) error {
	var text bytes.Buffer
	if err := Write(&text, results); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // for everybody to read
		return err
	}
	part := path + ".part"
	if err := os.WriteFile(part, text.Bytes(), 0o644); err != nil { //nolint:gosec // for everybody to read
		return err
	}
	return os.Rename(part, path)
}

// Merge adds newer results to older ones, replaces those of the same key, and
// sorts them by key.
func Merge(older, newer []Result) []Result {
	byKey := map[Key]Result{}
	for _, r := range slices.Concat(older, newer) {
		byKey[r.Key()] = r
	}
	out := make([]Result, 0, len(byKey))
	for _, r := range byKey {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Result) int {
		return cmp.Or(cmp.Compare(a.Scenario, b.Scenario), cmp.Compare(a.Contender, b.Contender),
			cmp.Compare(a.Parameters, b.Parameters), cmp.Compare(a.Seed, b.Seed))
	})
	return out
}
