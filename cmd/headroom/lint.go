package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keda-headroom/headroom/cmd/headroom/lint"
	"github.com/keda-headroom/headroom/internal/buildinfo"
	"github.com/keda-headroom/headroom/internal/databaselimits"
	"github.com/keda-headroom/headroom/internal/kubeflags"
	"github.com/keda-headroom/headroom/policy"
)

func newLintCommand() *cobra.Command {
	options := lint.Options{Output: "table", Cluster: kubeflags.Flags{RequestTimeout: kubeflags.DefaultTimeout}}
	failOn := "error"
	c := &cobra.Command{
		Use:   "lint FILE... | --context CONTEXT",
		Short: "Judge policies and manifests, and name every way past a target that they leave open",
		Long: `Lint says everything that is wrong with policies, each by itself and all of them
together, and with the manifests that stand between a target and the pods. It
needs no server.

FILE is a file, a directory whose YAML and JSON files are read (those below it
too), or - for the standard input. Judged are policies (kind Policy, and those in
the values of ConfigMaps labeled keda-headroom.github.io/policy: "true"),
ScaledObjects and ScaledJobs: whether their triggers ask Headroom rightly, and
every way past the target of a workload in mode Target that they, a second HPA, or
the Deployment, StatefulSet or Rollout they scale leave open. In mode Gate those
ways are closed where the pods wait at the gate; then it is judged whether they
do, those of CronJobs and DaemonSets, too, and whether rollouts,
PodDisruptionBudgets and Jobs fit to pods that wait.
Objects are joined by name and namespace; --namespace is that of documents which
name none. Documents of other kinds are skipped and named; where there is nothing
to judge at all, that is an error.

With no FILE, but a cluster or a namespace, it judges what that cluster has. It
lists objects there and changes nothing.

Lint asks no database. With --database-limit it knows how many replicas the
databases carry when nobody else is on them, and judges minimums by that.

An error means that a policy is not in force, that a target binds nothing, or that
pods start without the gate, or never. A warning means that a target can be passed
at times, or that pods wait for long; a note fails nothing. docs/lint.md has every
rule. It exits with 0 where nothing is wrong, 1 where something is (see
--fail-on), and 2 where it was called wrongly or a FILE is not there.`,
		Example: `  headroom lint policy.yaml
  helm template ./chart -n shop | headroom lint - -n shop

  # What a cluster has
  headroom lint --context production --all-namespaces

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
			err := lint.Run(c.Context(), options)
			var input lint.InputError
			if errors.As(err, &input) {
				return usageError{input}
			}
			return err
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVarP(&options.Output, "output", "o", options.Output, strings.Join(lint.Outputs[:len(lint.Outputs)-1], ", ")+" or "+lint.Outputs[len(lint.Outputs)-1])
	flags.StringVar(&failOn, "fail-on", failOn, "exit with 1 from this severity on: error or warning")
	flags.StringArrayVar(&options.DatabaseLimits, databaselimits.Flag, nil, databaselimits.Usage)
	options.Cluster.AddCluster(flags)
	options.Cluster.AddNamespaces(flags, "namespace of a cluster to look at, or that of documents in FILE which name none")
	options.Cluster.AddTimeout(flags)
	return c
}
