package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keda-headroom/headroom/cmd/headroom/lint"
	"github.com/keda-headroom/headroom/internal/buildinfo"
	"github.com/keda-headroom/headroom/policy"
)

func newLintCommand() *cobra.Command {
	options := lint.Options{Output: "table"}
	failOn := "error"
	c := &cobra.Command{
		Use:   "lint FILE...",
		Short: "Judge policies offline: every error and warning at once",
		Long: `Lint reads policies and says everything that is wrong with them, each by itself
and all of them together, without a server or a cluster.

FILE is a file, a directory whose YAML and JSON files are read (those below it
too), or - for the standard input. Besides policies (kind Policy) it reads those
in the values of ConfigMaps labeled keda-headroom.github.io/policy: "true".
Documents of other kinds are skipped and named; where there is no policy at all,
that is an error.

It exits with 0 where nothing is wrong, 1 where something is (see --fail-on), and
2 where it was called wrongly or a FILE is not there.`,
		Example: `  headroom lint policy.yaml
  helm template ./chart | headroom lint -

  # For a code host's list of findings, and strictly
  headroom lint manifests/ --output sarif --fail-on warning > headroom.sarif`,
		RunE: func(c *cobra.Command, args []string) error {
			options.Paths, options.In, options.Out, options.Program = args, c.InOrStdin(), c.OutOrStdout(), buildinfo.Get().Version
			switch strings.ToLower(failOn) {
			case "error":
				options.FailOn = policy.SeverityError
			case "warning":
				options.FailOn = policy.SeverityWarning
			default:
				return usageError{fmt.Errorf("--fail-on: expected error or warning, found %q", failOn)}
			}
			if err := options.Validate(); err != nil {
				return usageError{err}
			}
			err := lint.Run(options)
			var path lint.PathError
			if errors.As(err, &path) {
				return usageError{path}
			}
			return err
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVarP(&options.Output, "output", "o", options.Output, strings.Join(lint.Outputs[:len(lint.Outputs)-1], ", ")+" or "+lint.Outputs[len(lint.Outputs)-1])
	flags.StringVar(&failOn, "fail-on", failOn, "exit with 1 from this severity on: error or warning")
	return c
}
