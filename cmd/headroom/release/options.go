// Package release is the command headroom release: it removes Headroom's gate from
// pods, with no server running and nobody who accounts for their connections.
package release

import (
	"errors"
	"io"

	"github.com/keda-headroom/headroom/internal/described"
	"github.com/keda-headroom/headroom/internal/kubeflags"
	"github.com/keda-headroom/headroom/internal/output"
)

// Options are the command's arguments.
type Options struct {
	// Workloads are NAME or NAMESPACE/NAME, whose gated pods are released; a bare
	// NAME is in Cluster's namespace. All releases every gated pod of that namespace,
	// or of all, governed or not. Exactly one of the two is given.
	Workloads []string
	All       bool
	// DryRun changes nothing.
	DryRun bool
	// Cluster chooses the cluster and namespaces.
	Cluster kubeflags.Flags
	// Output is table, json or yaml.
	Output string
	// Out gets what was done. Program is the version of this program.
	Out     io.Writer
	Program string
}

// Validate reports everything that can't be right about the options.
func (o Options) Validate() error {
	var all []error
	switch {
	case o.All && len(o.Workloads) > 0:
		all = append(all, errors.New("expected WORKLOAD or --all, found both"))
	case !o.All && len(o.Workloads) == 0:
		all = append(all, errors.New("expected WORKLOAD or --all, found neither"))
	case !o.All && o.Cluster.AllNamespaces:
		all = append(all, errors.New("--all-namespaces: expected --all with it, found WORKLOAD, which is in one namespace"))
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
