// Package lint is the command headroom lint: it judges policies, and the manifests
// that stand between a target and the pods, in files or in a cluster. All errors
// and warnings are told at once.
package lint

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/keda-headroom/headroom/internal/databaselimits"
	"github.com/keda-headroom/headroom/internal/kubeflags"
	"github.com/keda-headroom/headroom/policy"
)

// Outputs are the forms that findings can be written in.
var Outputs = []string{"table", "json", "yaml", "sarif", "junit"}

// Options are the command's arguments.
type Options struct {
	// Paths are files, directories (searched below, too), and "-" for In. Where
	// there are none, Cluster is read instead.
	Paths []string
	// Cluster chooses a cluster and the namespaces in it. With Paths its Namespace
	// is that of documents which name none.
	Cluster kubeflags.Flags
	// Output is one of Outputs.
	Output string
	// DatabaseLimits are N, or NAME=N of one database.
	DatabaseLimits []string
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
	switch c := o.Cluster; {
	case len(o.Paths) == 0 && !c.Given():
		all = append(all, errors.New("expected at least one FILE, or - for the standard input, or a cluster (--kubeconfig, --context, --namespace or --all-namespaces)"))
	case len(o.Paths) > 0 && (c.Kubeconfig != "" || c.Context != "" || c.AllNamespaces):
		all = append(all, errors.New("expected FILE or a cluster (--kubeconfig, --context, --all-namespaces), found both"))
	}
	if err := o.Cluster.Validate(); err != nil {
		all = append(all, err)
	}
	if !slices.Contains(Outputs, o.Output) {
		all = append(all, fmt.Errorf("--output: expected table, json, yaml, sarif or junit, found %q", o.Output))
	}
	if o.FailOn != policy.SeverityError && o.FailOn != policy.SeverityWarning {
		all = append(all, fmt.Errorf("--fail-on: expected error or warning, found %q", o.FailOn))
	}
	if _, err := databaselimits.Parse(o.DatabaseLimits); err != nil {
		all = append(all, err)
	}
	return errors.Join(all...)
}

func (o Options) limits() databaselimits.Limits {
	limits, _ := databaselimits.Parse(o.DatabaseLimits) // Validate has said what is wrong
	return limits
}
