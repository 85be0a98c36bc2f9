// Package stop is the commands headroom stop and headroom resume: they freeze
// workloads and give them back, by an annotation on the ConfigMap whose policy
// describes them. No server is asked.
package stop

import (
	"errors"
	"io"

	"github.com/keda-headroom/headroom/internal/described"
	"github.com/keda-headroom/headroom/internal/kubeflags"
	"github.com/keda-headroom/headroom/internal/output"
)

// Options are the commands' arguments.
type Options struct {
	// Workloads are NAME or NAMESPACE/NAME; a bare NAME is in Cluster's namespace.
	Workloads []string
	// Resume gives them back in place of freezing them.
	Resume bool
	// Cluster chooses the cluster and the namespace.
	Cluster kubeflags.Flags
	// Output is table, json or yaml.
	Output string
	// Out gets what was changed. Program is the version of this program.
	Out     io.Writer
	Program string
}

// Validate reports everything that can't be right about the options.
func (o Options) Validate() error {
	var all []error
	if len(o.Workloads) == 0 {
		all = append(all, errors.New("expected at least one WORKLOAD, found none"))
	}
	if _, err := described.IDs(o.Workloads, "default"); err != nil {
		all = append(all, err)
	}
	if err := o.Cluster.Validate(); err != nil {
		all = append(all, err)
	}
	if err := output.Check(o.Output); err != nil {
		all = append(all, err)
	}
	return errors.Join(all...)
}
