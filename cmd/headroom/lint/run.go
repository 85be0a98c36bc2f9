package lint

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/keda-headroom/headroom/policy"
)

// ErrFound is returned where there are findings that fail the run. They have been
// written; it has nothing to add.
var ErrFound = errors.New("")

// Run judges the policies and writes what is wrong with them. It returns
// [ErrFound] where that fails the run, and a [PathError] where a path leads
// nowhere.
func Run(o Options) error {
	inputs, err := gather(o.Paths, o.In)
	if err != nil {
		return PathError{err}
	}
	r := judge(inputs)
	text, err := o.render(r)
	if err != nil {
		return err
	}
	if _, err := o.Out.Write(text); err != nil {
		return err
	}
	if r.Errors > 0 || (o.FailOn == policy.SeverityWarning && r.Warnings > 0) {
		return ErrFound
	}
	return nil
}

// PathError says that there is nothing where a path leads.
type PathError struct{ error }

func (e PathError) Unwrap() error { return e.error }

func (o Options) render(r Report) (text []byte, err error) {
	switch o.Output {
	case "json":
		text, err = json.MarshalIndent(r, "", "  ")
	case "yaml":
		return yaml.Marshal(r)
	case "sarif":
		text, err = json.MarshalIndent(toSARIF(r, o.Program), "", "  ")
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
	var text string
	for _, f := range r.Findings {
		text += f.String() + "\n"
	}
	for _, s := range r.Skipped {
		text += fmt.Sprintf("%s:%d: skipped: %s\n", s.File, s.Line, s.What)
	}
	if text != "" {
		text += "\n"
	}
	verdict := fmt.Sprintf("%s, %s", count(r.Errors, "error"), count(r.Warnings, "warning"))
	if r.Errors+r.Warnings == 0 {
		verdict = "no problems"
	}
	text += fmt.Sprintf("%s in %s: %s", count(r.Policies, "good policy document"), count(len(r.Files), "file"), verdict)
	if n := len(r.Skipped); n > 0 {
		text += fmt.Sprintf("; %s skipped", count(n, "other document"))
	}
	return text + "\n"
}

// count writes "1 error" and "2 errors".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
