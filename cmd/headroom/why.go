package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/keda-headroom/headroom/cmd/headroom/why"
	"github.com/keda-headroom/headroom/internal/buildinfo"
	"github.com/keda-headroom/headroom/internal/serverclient"
)

func newWhyCommand() *cobra.Command {
	options := why.Options{Client: serverclient.New(), Output: "table", Namespace: "default"}
	c := &cobra.Command{
		Use:     "why WORKLOAD",
		Aliases: []string{"explain"},
		Short:   "Say why a workload has the target it has, and what would add a replica",
		Long: `Why shows the decision for one workload: the target, what bound it, each step
from the queue's demand to it, the account of every limit on its databases, and
for each input the smallest change of it alone that would add a replica. What
would change is found by deciding again with the change made. Where pods wait at
the gate it says how many, how long and for what, and which have to go and why.

It asks a running server, by the URL of its HTTP port or through a cluster's API
server. With --at it asks for the decision that was in force at
an earlier time, which the server keeps as far as its recording goes back. With
--recording it reads the recording from a directory; no server is needed.

WORKLOAD is NAME or NAMESPACE/NAME.`,
		Example: `  headroom why order-workers -n shop

  # Through the cluster of a kubeconfig's context
  headroom why shop/order-workers --context production

  # Ten minutes ago, and at a time of today
  headroom why shop/order-workers --at -10m
  headroom why shop/order-workers --at 14:07

  # From a recording that was copied from somewhere
  headroom why shop/order-workers --recording ./recording --at 2026-11-22T16:00:00Z

  # Only the reason
  headroom why shop/order-workers -o json | jq -r .plan.reason`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("expected one WORKLOAD, found %d arguments", len(args))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("server") && options.Recording != "" {
				return usageError{errors.New("expected --server or --recording, found both")}
			}
			if err := options.Client.Choose(c.Flags()); err != nil {
				return usageError{err}
			}
			options.Workload, options.Out, options.Program = args[0], c.OutOrStdout(), buildinfo.Get().Version
			if err := options.Validate(); err != nil {
				return usageError{err}
			}
			return why.Run(c.Context(), options)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVarP(&options.Namespace, "namespace", "n", options.Namespace, "namespace of the workload")
	flags.StringVar(&options.At, "at", "", `time to ask about: RFC 3339, "15:04" or "15:04:05" today, or "-10m"; now if left out`)
	options.Client.Add(flags)
	flags.StringVar(&options.Recording, "recording", "", "directory of a recording, to ask instead of a server")
	flags.StringVarP(&options.Output, "output", "o", options.Output, "table, json or yaml")
	return c
}
