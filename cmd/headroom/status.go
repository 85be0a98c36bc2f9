package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/keda-headroom/headroom/cmd/headroom/status"
	"github.com/keda-headroom/headroom/internal/serverclient"
)

func newStatusCommand() *cobra.Command {
	options := status.Options{Client: serverclient.New(), Output: "table"}
	var all bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Show every database's connections and every workload's target at a glance",
		Long: `Status shows what a running Headroom knows and has decided: for each database and
each limit on it the account of its connections, and for each workload its demand,
ceiling and target, and what bound it. "headroom why WORKLOAD" says more of one.

Of a database, BUDGET is LIMIT - RESERVE - the larger of OTHERS and HIGH WATER -
GHOSTS: what the workloads' pods may hold. FREE is what of it is left. READ is how
old the reading is. A ? is unknown.

Of a workload, CURRENT is spec.replicas, and GATED how many of its pods wait at the
gate. Below stands how many may pass now, are to be taken away, or came into being
without the gate in mode Gate.

It asks a running server, by the URL of its HTTP port or through a cluster's API
server (with permission to get services/proxy).`,
		Example: `  headroom status

  # Through the cluster of a kubeconfig's context, one namespace's workloads
  headroom status --context production -n shop

  # What limits each workload
  headroom status -o json | jq -r '.workloads[] | [.id, .reason] | @tsv'`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if all && options.Namespace != "" {
				return usageError{errors.New("expected --namespace or --all-namespaces, found both")}
			}
			if err := options.Client.Choose(c.Flags()); err != nil {
				return usageError{err}
			}
			options.Out = c.OutOrStdout()
			if err := options.Validate(); err != nil {
				return usageError{err}
			}
			return status.Run(c.Context(), options)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVarP(&options.Namespace, "namespace", "n", "", "show the workloads of this namespace and the databases that they use")
	flags.BoolVarP(&all, "all-namespaces", "A", false, "show every workload and database, which is the default")
	options.Client.Add(flags)
	flags.StringVarP(&options.Output, "output", "o", options.Output, "table, json or yaml")
	return c
}
