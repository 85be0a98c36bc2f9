package lint

import (
	"context"
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

// Run judges, and writes what is wrong. It returns [ErrFound] where that fails
// the run, and an [InputError] where a path leads nowhere, or a limit is of no database.
func Run(ctx context.Context, o Options) error {
	r, err := o.judge(ctx)
	if err != nil {
		return err
	}
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

func (o Options) judge(ctx context.Context) (Report, error) {
	if len(o.Paths) == 0 {
		return judgeCluster(ctx, o)
	}
	inputs, err := gather(o.Paths, o.In, o.Cluster.Namespace)
	if err != nil {
		return Report{}, InputError{err}
	}
	return judgeFiles(inputs, o.limits())
}

// InputError says that what the command was given leads nowhere.
type InputError struct{ error }

func (e InputError) Unwrap() error { return e.error }

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
	for _, m := range r.Missing {
		text += "note: " + m + "\n"
	}
	if text != "" {
		text += "\n"
	}
	verdict := fmt.Sprintf("%s, %s", count(r.Errors, "error"), count(r.Warnings, "warning"))
	if r.Errors+r.Warnings == 0 {
		verdict = "no problems"
	}
	if r.Notes > 0 {
		verdict += ", " + count(r.Notes, "note")
	}
	where := count(len(r.Files), "file")
	if r.Cluster != "" {
		where = "the cluster at " + r.Cluster
	}
	text += fmt.Sprintf("%s and %s in %s: %s", count(r.Policies, "good policy document"), count(r.Fleets, "fleet"), where, verdict)
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
