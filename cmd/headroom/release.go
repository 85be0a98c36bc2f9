package main

import (
	"github.com/spf13/cobra"

	"github.com/keda-headroom/headroom/cmd/headroom/release"
	"github.com/keda-headroom/headroom/internal/buildinfo"
	"github.com/keda-headroom/headroom/internal/kubeflags"
)

func newReleaseCommand() *cobra.Command {
	options := release.Options{Cluster: kubeflags.Flags{RequestTimeout: kubeflags.DefaultTimeout}, Output: "table"}
	c := &cobra.Command{
		Use:   "release [WORKLOAD...]",
		Short: "Let gated pods start, with no Headroom running",
		Long: `Release removes the scheduling gate keda-headroom.github.io/connections from pods that
wait for connections: of the workloads that it is given, found by their policies and
what those refer to, or with --all of a namespace, or with --all -A of the cluster.
Gates of others stay. Headroom need not run; this is the way out where it is gone, or
where it is wrong and the pods are needed.

Nobody accounts for these pods: if the database has no connections for them, somebody
is refused. A Headroom that runs goes on gating new pods. To have done with it take the
label keda-headroom.github.io/gate, or the scheduling gate, out of the pods' template and
set the workload's mode to Observe, in which Headroom itself releases whoever waits.

It needs permission to list and patch pods, and where Headroom's admission policies
are installed the verb release on pods of keda-headroom.github.io: the ClusterRole
headroom-release has all of it.

WORKLOAD is NAME or NAMESPACE/NAME. It exits with 0 where no pod is left with the gate
of those that were found, 1 where one is or something failed, and 2 where it was called
wrongly.`,
		Example: `  # What would be let through
  headroom release order-workers -n shop --dry-run

  headroom release order-workers invoice-workers -n shop

  # Headroom is gone: every pod in the cluster that still waits for it
  headroom release --all -A`,
		RunE: func(c *cobra.Command, args []string) error {
			options.Workloads, options.Out, options.Program = args, c.OutOrStdout(), buildinfo.Get().Version
			if err := options.Validate(); err != nil {
				return usageError{err}
			}
			return release.Run(c.Context(), options)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.BoolVar(&options.All, "all", false, "release every gated pod of the namespace, whatever policy it has or has not")
	flags.BoolVar(&options.DryRun, "dry-run", false, "say which pods would be released, and change nothing")
	options.Cluster.AddCluster(flags)
	options.Cluster.AddNamespaces(flags, "namespace of the workloads, or of the pods with --all; left out, the context's")
	flags.StringVarP(&options.Output, "output", "o", options.Output, "table, json or yaml")
	options.Cluster.AddTimeout(flags)
	return c
}
