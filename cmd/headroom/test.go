package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/keda-headroom/headroom/cmd/headroom/policytest"
)

func newTestCommand() *cobra.Command {
	options := policytest.Options{Output: "table"}
	c := &cobra.Command{
		Use:   "test FILE...",
		Short: "Run tests of your own policies: given these readings, that target",
		Long: `Test runs files of tests (kind PolicyTest). A test gives readings in words that a
person would use, a database's limits and who is connected, a queue's messages, a
workload's pods, at one instant or at several, and says what is expected of each
workload: its target, ceiling, reason and more. What is decided is decided by the
same code as in the server. docs/policy-tests.md describes the files.

It exits with 0 where everything is as expected, 1 where something is not or a
file is wrong, and 2 where it was called wrongly.`,
		Example: `  headroom test policy-tests.yaml

  # Only some of them, for a build server
  headroom test tests/*.yaml --run 'burst|failover' -o junit > results.xml`,
		RunE: func(c *cobra.Command, args []string) error {
			options.Paths, options.Out = args, c.OutOrStdout()
			if err := options.Validate(); err != nil {
				return usageError{err}
			}
			err := policytest.Run(options)
			var none policytest.NoMatchError
			if errors.As(err, &none) {
				return usageError{none}
			}
			return err
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&options.Run, "run", "", "run only tests whose names match this regular expression")
	flags.StringVarP(&options.Output, "output", "o", options.Output, "table, json or junit")
	return c
}
