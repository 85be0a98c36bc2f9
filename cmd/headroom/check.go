package main

import (
	"github.com/spf13/cobra"

	"github.com/keda-headroom/headroom/cmd/headroom/check"
)

func newCheckCommand() *cobra.Command {
	options := check.Defaults()
	c := &cobra.Command{
		Use:   "check FILE...",
		Short: "Read the queues of policies once: permissions, how far behind CloudWatch is, and what reading costs",
		Long: `Check reads every queue of the given policies once, as the server would, and says
whether SQS answers, whether CloudWatch does and how old its newest point is, and
what both cost in a month of 30 days at the policies' intervals. Whatever fails has
a hint. It changes nothing, receives no message, and needs no running server.

FILE is a policy, a manifest with ConfigMaps that hold policies, or a directory of
such. CloudWatch is asked about queues whose policy has a maxMessageAge; with
--cloudwatch about all, as before one is given. Credentials are those of the shell,
by the AWS SDK's default chain: to know what Headroom itself may do, run it with
Headroom's role.

IF IDLE is of a queue that is never used, read at its idlePollInterval. Prices are
those of us-east-1; give others where you pay others.

It exits with 0 where everything that the policies need can be read, 1 where
something can't or a policy has errors, and 2 where it was called wrongly.`,
		Example: `  headroom check policies/

  # What a maxMessageAge would take, before it is given
  headroom check --cloudwatch policies/orders.yaml

  # What can't be read, and what to do about it
  headroom check -o json policies/ | jq -r '.queues[] | .queue as $q | .findings[] | [$q, .problem, .hint] | @tsv'`,
		RunE: func(c *cobra.Command, args []string) error {
			options.Paths, options.Out = args, c.OutOrStdout()
			if err := options.Validate(); err != nil {
				return usageError{err}
			}
			return check.Run(c.Context(), options)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.BoolVar(&options.CloudWatch, "cloudwatch", false, "ask CloudWatch about every queue, whatever its policy needs")
	flags.Float64Var(&options.Prices.SQS, "sqs-price", options.Prices.SQS, "US dollars for a million calls of SQS")
	flags.Float64Var(&options.Prices.CloudWatch, "cloudwatch-price", options.Prices.CloudWatch, "US dollars for 1,000 metrics of GetMetricData")
	flags.DurationVar(&options.Timeout, "timeout", options.Timeout, "how long one reading may take")
	flags.StringVarP(&options.Output, "output", "o", options.Output, "table, json or yaml")
	return c
}
