// Package policytest is the command headroom test: it runs users' tests of their
// policies and says what is otherwise than they expect.
package policytest

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/internal/policytest"
	"github.com/keda-headroom/headroom/policy"
)

// Outputs are the forms that results can be written in.
var Outputs = []string{"table", "json", "junit"}

// Options are the command's arguments.
type Options struct {
	// Paths are files of tests.
	Paths []string
	// Run is a regular expression: only tests whose names match it are run.
	Run string
	// Output is one of Outputs.
	Output string
	// Out gets the results.
	Out io.Writer
}

// Validate reports everything that can't be right about the options.
func (o Options) Validate() error {
	var all []error
	if len(o.Paths) == 0 {
		all = append(all, errors.New("expected at least one FILE of tests"))
	}
	for _, path := range o.Paths {
		if info, err := os.Stat(path); err != nil {
			all = append(all, err)
		} else if info.IsDir() {
			all = append(all, fmt.Errorf("expected a file of tests, found the directory %s", path))
		}
	}
	if _, err := regexp.Compile(o.Run); err != nil {
		all = append(all, fmt.Errorf("--run: %w", err))
	}
	if !slices.Contains(Outputs, o.Output) {
		all = append(all, fmt.Errorf("--output: expected table, json or junit, found %q", o.Output))
	}
	return errors.Join(all...)
}

// ErrFailed is returned where a test failed or a file is wrong. It has been
// written; it has nothing to add.
var ErrFailed = errors.New("")

// NoMatchError says that no test was run.
type NoMatchError struct{ Pattern string }

func (e NoMatchError) Error() string {
	return fmt.Sprintf("--run: expected the name of a test to match %q, and none does", e.Pattern)
}

// Report is what came of all files.
type Report struct {
	Files  []FileReport `json:"files"`
	Passed int          `json:"passed"`
	Failed int          `json:"failed"`
	// Broken files could not be run.
	Broken int `json:"broken"`
}

// FileReport is what came of one file.
type FileReport struct {
	File string `json:"file"`
	// Problems are what is wrong with the file or its policies. With an error
	// among them none of its tests was run.
	Problems []policy.Problem    `json:"problems,omitempty"`
	Results  []policytest.Result `json:"results"`
}

// Run runs the tests and writes the results. It returns [ErrFailed] where they are
// not as expected, and a [NoMatchError] where no name matches.
func Run(o Options) error {
	match, err := regexp.Compile(o.Run)
	if err != nil {
		return err
	}
	var r Report
	for _, path := range o.Paths {
		file, problems := policytest.Load(path)
		report := FileReport{File: path, Problems: problems, Results: []policytest.Result{}}
		if policy.HasErrors(problems) {
			r.Broken++
		} else {
			report.Results = append(report.Results, file.Run(match)...)
		}
		for _, result := range report.Results {
			if len(result.Failures) > 0 {
				r.Failed++
			} else {
				r.Passed++
			}
		}
		r.Files = append(r.Files, report)
	}
	if r.Passed+r.Failed+r.Broken == 0 {
		return NoMatchError{o.Run}
	}
	text, err := render(r, o.Output)
	if err != nil {
		return err
	}
	if _, err := o.Out.Write(text); err != nil {
		return err
	}
	if r.Failed+r.Broken > 0 {
		return ErrFailed
	}
	return nil
}

func render(r Report, output string) (text []byte, err error) {
	switch output {
	case "json":
		text, err = json.MarshalIndent(r, "", "  ")
	case "junit":
		text, err = xml.MarshalIndent(toJUnit(r), "", "  ")
		text = append([]byte(xml.Header), text...)
	default:
		return []byte(table(r)), nil
	}
	return append(text, '\n'), err
}

// table renders a report for a person.
func table(r Report) string {
	var b strings.Builder
	for _, f := range r.Files {
		fmt.Fprintf(&b, "%s\n", f.File)
		for _, p := range f.Problems {
			fmt.Fprintf(&b, "  %s\n", p)
		}
		for _, result := range f.Results {
			verdict := "ok  "
			if len(result.Failures) > 0 {
				verdict = "FAIL"
			}
			fmt.Fprintf(&b, "  %s  %s\n", verdict, result.Name)
			for _, failure := range result.Failures {
				b.WriteString(indent(details(failure), "        "))
			}
		}
	}
	fmt.Fprintf(&b, "\n%d passed, %d failed", r.Passed, r.Failed)
	if r.Broken > 0 {
		fmt.Fprintf(&b, ", %d of %d files could not be run", r.Broken, len(r.Files))
	}
	b.WriteString("\n")
	return b.String()
}

// details says what was expected and what was found, and why.
func details(f policytest.Failure) string {
	var b strings.Builder
	fmt.Fprintf(&b, "at %s, %s:\n", f.At, f.Workload)
	for _, d := range f.Differences {
		fmt.Fprintf(&b, "  %s: expected %s, found %s\n", d.Field, cmp.Or(d.Expected, "nothing"), cmp.Or(d.Found, "nothing"))
	}
	b.WriteString(f.Decision + "\n")
	return b.String()
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+by) + "\n"
}
