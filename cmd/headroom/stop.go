package main

import (
	"github.com/spf13/cobra"

	"github.com/keda-headroom/headroom/cmd/headroom/stop"
	"github.com/keda-headroom/headroom/internal/buildinfo"
	"github.com/keda-headroom/headroom/internal/kubeflags"
)

func newStopCommand() *cobra.Command {
	return newStopOrResumeCommand(stop.Options{}, &cobra.Command{
		Use:   "stop WORKLOAD...",
		Short: "Freeze workloads at what they hold",
		Long: `Stop freezes workloads: KEDA hears the replicas that there are, whatever the queue
asks for, pods that leave may be replaced one for one, no other pod passes the gate
and none is shed. Metrics, "headroom why" and "headroom status" show the reason
Stopped. It holds until "headroom resume", through restarts of Headroom.

It writes the annotation keda-headroom.github.io/stopped on the ConfigMap whose policy
describes the workload, and does nothing where that says so already. Headroom need
not run; where it does it knows within a second. It needs permission to list, get and
patch configmaps in the workload's namespace.

WORKLOAD is NAME or NAMESPACE/NAME.`,
		Example: `  headroom stop order-workers -n shop

  # What is stopped
  kubectl get configmaps -A -o json | jq -r '.items[].metadata | select(.annotations["keda-headroom.github.io/stopped"]) | [.namespace, .name, .annotations["keda-headroom.github.io/stopped"]] | @tsv'`,
	})
}

func newResumeCommand() *cobra.Command {
	return newStopOrResumeCommand(stop.Options{Resume: true}, &cobra.Command{
		Use:   "resume WORKLOAD...",
		Short: "Give stopped workloads back to Headroom",
		Long: `Resume ends what "headroom stop" began: Headroom decides for the workloads again, from
what their queues and databases say now.

It takes them out of the annotation keda-headroom.github.io/stopped on the ConfigMap whose
policy describes them, and does nothing where they don't stand in it.

WORKLOAD is NAME or NAMESPACE/NAME.`,
		Example: `  headroom resume order-workers invoice-workers -n shop`,
	})
}

func newStopOrResumeCommand(options stop.Options, c *cobra.Command) *cobra.Command {
	options.Cluster.RequestTimeout, options.Output = kubeflags.DefaultTimeout, "table"
	c.RunE = func(c *cobra.Command, args []string) error {
		options.Workloads, options.Out, options.Program = args, c.OutOrStdout(), buildinfo.Get().Version
		if err := options.Validate(); err != nil {
			return usageError{err}
		}
		return stop.Run(c.Context(), options)
	}
	flags := c.Flags()
	flags.SortFlags = false
	options.Cluster.AddCluster(flags)
	flags.StringVarP(&options.Cluster.Namespace, "namespace", "n", "", "namespace of the workloads; left out, the context's")
	flags.StringVarP(&options.Output, "output", "o", options.Output, "table, json or yaml")
	options.Cluster.AddTimeout(flags)
	return c
}
