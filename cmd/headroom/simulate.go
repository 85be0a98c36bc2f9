package main

import (
	"github.com/spf13/cobra"

	"github.com/keda-headroom/headroom/cmd/headroom/simulate"
	"github.com/keda-headroom/headroom/internal/databaselimits"
)

func newSimulateCommand() *cobra.Command {
	options := simulate.Defaults()
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Play a trace of arrivals through a policy, beside plain KEDA and a static cap",
		Long: `Simulate plays a trace of arrivals through a policy: what would have become of
these messages? The same code decides as in the server; the queue, the pods, the
databases, KEDA and the HPA are a model of them, in simulated time, thousands of
times faster than real time. The same messages are played for plain KEDA
(aws-sqs-queue, with messagesPerPod as queueLength and KEDA's defaults) and for the
same with the largest maxReplicaCount that never takes the reserve. docs/simulate.md
says what the model leaves out.

It shows how old messages became, how many were kept within the objective, drain,
connections, refusals, pod hours and what AWS asks for the calls. With an objective
it also shows what nobody could beat who knows all that will come: how many messages
could be kept within the databases' budgets, and the fewest pod hours for that.

A trace is CSV of timestamp,value, where each value counts the messages until the next
timestamp, or JSON as "aws cloudwatch get-metric-data" and "get-metric-statistics"
print it (the Sum of NumberOfMessagesSent).

It exits with 0, with 1 where fewer messages are kept than --fail-below-kept asks for
or something failed, and with 2 where it was called wrongly.`,
		Example: `  headroom simulate --policy policy.yaml --workload order-workers --trace march.csv \
    --seconds-per-message 0.8 --concurrency 4 --database-limit 200 --others 40

  # Black Friday, on a page with charts
  headroom simulate --policy policy.yaml --trace march.csv --scale 5 --service heavy \
    --database-limit 200 --others 40 -o html --output-file simulation.html

  # What came to the queue last week
  aws cloudwatch get-metric-statistics --namespace AWS/SQS --metric-name NumberOfMessagesSent \
    --dimensions Name=QueueName,Value=orders --statistics Sum --period 300 \
    --start-time 2026-03-01T00:00:00Z --end-time 2026-03-05T00:00:00Z > week.json

  # In a pull request: 99 of 100 messages that could be kept must be
  headroom simulate --policy policy.yaml --trace week.json --database-limit 200 \
    --max-message-age 2m --fail-below-kept 99`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			options.Out = c.OutOrStdout()
			if err := options.Validate(); err != nil {
				return usageError{err}
			}
			return simulate.Run(c.Context(), options)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&options.Policies, "policy", nil, "file or directory of policies, or of ConfigMaps with them; may be repeated")
	flags.StringVar(&options.Workload, "workload", "", "NAME or NAMESPACE/NAME of the workload; may be left out where there is one")
	flags.StringVar(&options.Trace, "trace", "", "file of arrivals: CSV, or JSON from CloudWatch")
	flags.DurationVar(&options.From, "from", 0, "where in the trace to begin, since its start")
	flags.DurationVar(&options.To, "to", 0, "where in the trace to end, since its start; 0s is its end")
	flags.Float64Var(&options.Scale, "scale", options.Scale, "multiply every count")
	flags.StringVar(&options.Service, "service", options.Service, "how long messages take: fixed, exponential, heavy (lognormal:1.5), lognormal:SIGMA or pareto:ALPHA")
	flags.Float64Var(&options.SecondsPerMessage, "seconds-per-message", 0, "how long a message takes on average; the policy's secondsPerMessage if left out")
	flags.IntVar(&options.Concurrency, "concurrency", 0, "messages that a pod works on at once; the policy's concurrency if left out, else 1")
	flags.DurationVar(&options.StartUp, "start-up", options.StartUp, "from a pod's creation until it works")
	flags.DurationVar(&options.Grace, "grace", options.Grace, "how long a pod that has to go may finish what it works on")
	flags.StringArrayVar(&options.DatabaseLimits, databaselimits.Flag, nil, databaselimits.Usage)
	flags.IntVar(&options.Others, "others", 0, "connections that others hold all the time")
	flags.StringVar(&options.OthersTrace, "others-trace", "", "file of how many connections others want from when on, as CSV; times are those of the trace")
	flags.IntVar(&options.MinReplicas, "min-replicas", options.MinReplicas, "minReplicaCount of the ScaledObject; so many run at the beginning")
	flags.IntVar(&options.MaxReplicas, "max-replicas", options.MaxReplicas, "maxReplicaCount of the ScaledObject")
	flags.DurationVar(&options.MaxMessageAge, "max-message-age", 0, "how old a message may be when it is done; the policy's maxMessageAge if left out")
	flags.StringVar(&options.Mode, "mode", options.Mode, "policy, target or gate: the mode to simulate")
	flags.DurationVar(&options.PublishDelay, "publish-delay", options.PublishDelay, "how long after its end CloudWatch publishes a minute")
	flags.Uint64Var(&options.Seed, "seed", options.Seed, "chooses what is left to chance; the same seed gives the same result")
	flags.Float64Var(&options.PodHourCost, "pod-hour-cost", 0, "what an hour of a pod costs, in dollars")
	flags.Float64Var(&options.FailBelowKept, "fail-below-kept", 0, "exit with 1 where fewer percent of the messages that could be kept are")
	flags.StringVarP(&options.Output, "output", "o", options.Output, "table, json or html")
	flags.StringVar(&options.OutputFile, "output-file", "", "file to write to")
	return c
}
