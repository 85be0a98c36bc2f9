package contender

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v3"
)

// Parse reads one contender. Its errors name the file, and all that is wrong
// with it.
func Parse(name string, text []byte) (Contender, error) {
	var c Contender
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&c); err != nil {
		if errors.Is(err, io.EOF) {
			return Contender{}, fmt.Errorf("contender %s: expected an object, found nothing", name)
		}
		return Contender{}, fmt.Errorf("contender %s: %s", name, goType.ReplaceAllString(err.Error(), "$1 is not a field here"))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return Contender{}, fmt.Errorf("contender %s: expected one document, found more", name)
	}
	c.Name = name
	c.Title, c.About = strings.TrimSpace(c.Title), strings.TrimSpace(c.About)
	if c.Replicas == "" {
		c.Replicas = Min
	}
	problems := c.problems()
	var err error
	if c.lane, err = compile("lane", c.Lane); err != nil {
		problems = append(problems, err.Error())
	}
	if c.fleet, err = compile("fleet", c.Fleet); err != nil {
		problems = append(problems, err.Error())
	}
	if len(problems) > 0 {
		return Contender{}, fmt.Errorf("contender %s: %s", name, strings.Join(problems, "; "))
	}
	return c, nil
}

var (
	goType   = regexp.MustCompile(`field (\S+) not found in type \S+`)
	dnsLabel = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,30}[a-z0-9])?$`)
)

func compile(name, text string) (*template.Template, error) {
	return template.New(name).Option("missingkey=error").Parse(text)
}

func (c Contender) problems() []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if !dnsLabel.MatchString(c.Name) {
		add("its name: expected lower-case letters, digits and dashes, found %q", c.Name)
	}
	if c.Title == "" || strings.Contains(c.Title, "\n") {
		add("title: expected one line, found %q", c.Title)
	}
	if c.About == "" {
		add("about: expected what it is, found nothing")
	}
	if c.Order < 1 {
		add("order: expected 1 or more, found %d", c.Order)
	}
	if c.Replicas != Min && c.Replicas != Fixed {
		add("replicas: expected %s or %s, found %q", Min, Fixed, c.Replicas)
	}
	if c.Gate && !c.Headroom {
		add("gate: expected headroom to be true too, as nobody else opens it, found false")
	}
	for parameter, values := range c.Grid {
		if len(values) == 0 {
			add("grid.%s: expected values, found none", parameter)
		}
		if shown := c.Shown[parameter]; !slices.Contains(values, shown) {
			add("shown.%s: expected a value of the grid, found %q", parameter, shown)
		}
	}
	for parameter := range c.Shown {
		if _, there := c.Grid[parameter]; !there {
			add("shown.%s: expected a parameter of the grid, found another", parameter)
		}
	}
	slices.Sort(out)
	return out
}

// ReadDir reads all contenders of a directory, in their order.
func ReadDir(dir fs.FS) ([]Contender, error) {
	names, err := fs.Glob(dir, "*.yaml")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("expected contenders, files that end in .yaml, found none")
	}
	var out []Contender
	var errs []error
	for _, name := range names {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		c, err := Parse(strings.TrimSuffix(path.Base(name), ".yaml"), text)
		out, errs = append(out, c), append(errs, err)
	}
	slices.SortStableFunc(out, func(a, b Contender) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Name, b.Name))
	})
	return out, errors.Join(errs...)
}
