package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Parse reads one scenario. Its errors name the file, and all that is wrong
// with it.
func Parse(name string, text []byte) (Scenario, error) {
	var s Scenario
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&s); err != nil {
		if errors.Is(err, io.EOF) {
			return Scenario{}, fmt.Errorf("scenario %s: expected an object, found nothing", name)
		}
		return Scenario{}, fmt.Errorf("scenario %s: %w", name, plainer(err))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return Scenario{}, fmt.Errorf("scenario %s: expected one document, found more", name)
	}
	s.Name = name
	s.Title, s.Shows = strings.TrimSpace(s.Title), strings.TrimSpace(s.Shows)
	if problems := s.problems(); len(problems) > 0 {
		return Scenario{}, fmt.Errorf("scenario %s: %s", name, strings.Join(problems, "; "))
	}
	return s, nil
}

var goType = regexp.MustCompile(`field (\S+) not found in type \S+`)

// plainer takes the names of Go types out of an error.
func plainer(err error) error {
	var typeError *yaml.TypeError
	if !errors.As(err, &typeError) {
		return err
	}
	lines := slices.Clone(typeError.Errors)
	for i := range lines {
		lines[i] = goType.ReplaceAllString(lines[i], "$1 is not a field here")
	}
	return errors.New(strings.Join(lines, "; "))
}

// ReadDir reads all scenarios of a directory, by name.
func ReadDir(dir fs.FS) ([]Scenario, error) {
	names, err := fs.Glob(dir, "*.yaml")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("expected scenarios, files that end in .yaml, found none")
	}
	var out []Scenario
	var errs []error
	for _, name := range names {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		s, err := Parse(strings.TrimSuffix(path.Base(name), ".yaml"), text)
		out, errs = append(out, s), append(errs, err)
	}
	return out, errors.Join(errs...)
}
