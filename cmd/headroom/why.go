package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/keda-headroom/headroom/cmd/headroom/why"
	"github.com/keda-headroom/headroom/internal/buildinfo"
)

func newWhyCommand() *cobra.Command {
	options := why.Options{Server: os.Getenv("HEADROOM_SERVER"), Output: "table", Timeout: 30 * time.Second, Namespace: "default"}
	if options.Server == "" {
		options.Server = why.DefaultServer
	}
	c := &cobra.Command{
		Use:     "why WORKLOAD",
		Aliases: []string{"explain"},
		Short:   "Say why a workload has the target it has, and what would add a replica",
		Long: `Why shows the decision for one workload: the target, what bound it, each step
from the queue's demand to it, the account of every limit on its databases, and
for each input the smallest change of it alone that would add a replica. What
would change is found by deciding again with the change made.

It asks a running server. With --at it asks for the decision that was in force at
an earlier time, which the server keeps as far as its recording goes back. With
--recording it reads the recording from a directory; no server is needed.

WORKLOAD is NAME or NAMESPACE/NAME.`,
		Example: `  headroom why order-workers -n shop

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
	flags.StringVar(&options.Server, "server", options.Server, "URL of the server's HTTP port; HEADROOM_SERVER in the environment is its default")
	flags.StringVar(&options.Recording, "recording", "", "directory of a recording, to ask instead of a server")
	flags.StringVarP(&options.Output, "output", "o", options.Output, "table, json or yaml")
	flags.DurationVar(&options.Timeout, "request-timeout", options.Timeout, "how long the server may take; 0 is for ever")
	return c
}
