package main

import (
	"github.com/spf13/cobra"

	"github.com/keda-headroom/headroom/cmd/headroom/replay"
)

func newReplayCommand() *cobra.Command {
	options := replay.Defaults()
	c := &cobra.Command{
		Use:   "replay",
		Short: "Make recorded decisions again by another policy: yesterday under this change",
		Long: `Replay takes what a running Headroom recorded, every reading that decisions were made
from, and makes the decisions again by another policy. For each workload it compares
targets, pod hours and what bound them, for each database the most connections that
were promised at once. In a pull request, thresholds make it fail.

It is an open loop: the readings are those that were taken while the recorded policy
was in force. A replay shows what would have been decided, not what would have come
of it; "headroom simulate" closes the loop. Decisions are made again once in every
--step, as often as an HPA asks.

Without --policy they are made by the policies that were recorded: what comes out
otherwise then is what this version decides otherwise than the one that recorded.

With --redact it replays nothing and writes the recording to another directory, with
every name replaced: namespaces, workloads, databases, users, queues, pods, addresses
and the words of errors. One name is always replaced by the same word, so that the
decisions stay what they were. Recordings hold no passwords and no data source names
in any case, only where those are kept.

It exits with 0, with 1 where a threshold is passed or something failed, and with 2
where it was called wrongly.`,
		Example: `  headroom replay --recording ./recording --policy policy.yaml

  # Somebody else's incident, as this version decides it
  headroom replay --recording ./headroom-support-20260301T150000Z/recording

  # In a pull request: no workload may cost a tenth more, or wait for connections longer
  # than one percent of the time
  headroom replay --recording ./yesterday --policy policy.yaml \
    --fail-if-pod-hours-rise 10 --fail-if-limited 1

  # An incident, to be given to others
  headroom replay --recording ./recording --redact ./incident \
    --from 2026-03-01T14:00:00Z --to 2026-03-01T15:00:00Z`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			options.Out = c.OutOrStdout()
			if err := options.Validate(); err != nil {
				return usageError{err}
			}
			return replay.Run(c.Context(), options)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&options.Recording, "recording", "", "directory of a recording")
	flags.StringArrayVar(&options.Policies, "policy", nil, "file or directory of policies, or of ConfigMaps with them; may be repeated; those that were recorded if left out")
	flags.StringVar(&options.From, "from", "", "when to begin, RFC 3339; the recording's beginning if left out")
	flags.StringVar(&options.To, "to", "", "when to end, RFC 3339; the recording's end if left out")
	flags.DurationVar(&options.Step, "step", options.Step, "shortest time between two decisions that are made again; 0s makes all of them")
	flags.Float64Var(&options.MorePodHours, "fail-if-pod-hours-rise", options.MorePodHours, "exit with 1 where a workload's pod hours rise by more than so many percent; -1 never")
	flags.Float64Var(&options.Different, "fail-if-different", options.Different, "exit with 1 where a workload's targets differ for more than so many percent of the time; -1 never")
	flags.Float64Var(&options.Limited, "fail-if-limited", options.Limited, "exit with 1 where connections limit a workload for more than so many percent of the time; -1 never")
	flags.IntVar(&options.PeakConnections, "fail-if-promised", options.PeakConnections, "exit with 1 where a database is promised more connections; -1 never")
	flags.StringVar(&options.Redact, "redact", "", "directory that gets the recording with every name replaced")
	flags.StringVarP(&options.Output, "output", "o", options.Output, "table or json")
	return c
}
