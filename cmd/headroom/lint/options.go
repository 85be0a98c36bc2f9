// Package lint is the command headroom lint: it judges policies offline, all
// errors and warnings at once.
package lint

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/keda-headroom/headroom/policy"
)

// Outputs are the forms that findings can be written in.
var Outputs = []string{"table", "json", "yaml", "sarif", "junit"}

// Options are the command's arguments.
type Options struct {
	// Paths are files, directories (searched below, too), and "-" for In.
	Paths []string
	// Output is one of Outputs.
	Output string
	// FailOn is from which severity on findings fail the run.
	FailOn policy.Severity
	// In is read for the path "-"; Out gets the findings.
	In  io.Reader
	Out io.Writer
	// Program is the version of this program.
	Program string
}

// Validate reports everything that can't be right about the options.
func (o Options) Validate() error {
	var all []error
	if len(o.Paths) == 0 {
		all = append(all, errors.New("expected at least one FILE, or - for the standard input"))
	}
	if !slices.Contains(Outputs, o.Output) {
		all = append(all, fmt.Errorf("--output: expected table, json, yaml, sarif or junit, found %q", o.Output))
	}
	if o.FailOn != policy.SeverityError && o.FailOn != policy.SeverityWarning {
		all = append(all, fmt.Errorf("--fail-on: expected error or warning, found %q", o.FailOn))
	}
	return errors.Join(all...)
}
