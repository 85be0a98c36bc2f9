package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/keda-headroom/headroom/cmd/headroom/serve"
)

func newServeCommand() *cobra.Command {
	options := serve.Defaults()
	var level string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Answer KEDA: read queues, databases and fleets, and decide",
		Long: `Serve reads the queues and databases that the policies name, decides how many
replicas each workload may have, and answers KEDA's external-scaler calls with it.

It serves gRPC for KEDA (with health checks and reflection), and HTTP:

  /metrics       Prometheus metrics (docs/metrics.md)
  /livez         200 while the process runs
  /readyz        200 once a policy is in force and a first plan was made
  /v1/plans      every current plan, as JSON
  /v1/why        one workload's decision, and what would change it (headroom why)
  /v1/recording  earlier decisions, and what they were made from (headroom support-bundle)

In a cluster policies stand in ConfigMaps with the label
keda-headroom.github.io/policy: "true" in any namespace, and replicas and pods are
those of the cluster. --policy adds files. With --fleets Kubernetes is not used at
all: --policy is required then.

Several may run in one cluster, of which one leads, by a Lease: it decides, acts and
answers, its pod has the label keda-headroom.github.io/leader: "true", and the
Service selects that. The others watch Kubernetes and wait. One that led and finds
that another one leads ends with an error, to be started again as a follower.

Policies are read again when they change. A bad edit never takes effect: the last
good version stays, and the log, an event on the ConfigMap and
headroom_policy_valid say so. While Kubernetes can't be reached at the start
nobody leads, KEDA is answered with an error, and /readyz says why.

It ends on SIGTERM or SIGINT: streams are closed so that KEDA comes back soon, and
calls in progress end. A second signal ends it at once.`,
		Example: `  # In a cluster, or from outside with a kubeconfig.
  headroom serve
  headroom serve --kubeconfig ~/.kube/config --namespace headroom

  # Without Kubernetes.
  headroom serve --policy /etc/headroom/policies --fleets http://127.0.0.1:9000/fleets

  # Everything on free ports of this machine; the log says which.
  headroom serve --policy policy.yaml --fleets fleets.json \
      --grpc-address 127.0.0.1:0 --http-address 127.0.0.1:0 --log-format json

  # The trigger of a ScaledObject that asks it:
  #   - type: external-push
  #     metadata: {scalerAddress: "headroom.headroom.svc:6000", workload: order-workers}`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := options.LogLevel.UnmarshalText([]byte(level)); err != nil {
				return usageError{fmt.Errorf("--log-level: expected debug, info, warn or error, found %q", level)}
			}
			if err := options.Validate(); err != nil {
				return usageError{err}
			}
			options.Log = c.ErrOrStderr()
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop) // a second signal ends the process at once
			return serve.Run(ctx, options)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&options.Policies, "policy", nil, "file or directory of policies, beside those in ConfigMaps (repeatable)")
	flags.StringVar(&options.Fleets, "fleets", "", "file or URL of the workloads' replicas and pods, as JSON, instead of Kubernetes")
	options.Cluster.AddCluster(flags)
	flags.StringVarP(&options.Cluster.Namespace, "namespace", "n", "", "Headroom's own namespace, where it keeps its memory; left out, POD_NAMESPACE's, else the pod's own, else headroom")
	flags.DurationVar(&options.Cluster.RequestTimeout, "request-timeout", options.Cluster.RequestTimeout, "how long one request to the cluster may take at the start; 0 is for ever")
	flags.BoolVar(&options.LeaderElect, "leader-elect", options.LeaderElect, "lead only while no other one does; without it more than one replica promises the same connections twice (not used with --fleets)")
	flags.DurationVar(&options.LeaseDuration, "leader-elect-lease-duration", options.LeaseDuration, "how long the others wait for a leader that they don't hear of; whole seconds")
	flags.DurationVar(&options.RenewDeadline, "leader-elect-renew-deadline", options.RenewDeadline, "how long after its last renewal began the leader may act on pods")
	flags.DurationVar(&options.RetryPeriod, "leader-elect-retry-period", options.RetryPeriod, "how often everybody looks at the lease")
	flags.StringVar(&options.PodName, "pod-name", "", "name of the pod that this runs in; left out, POD_NAME's, else the machine's name")
	flags.StringVar(&options.GRPCAddress, "grpc-address", options.GRPCAddress, "address for KEDA")
	flags.StringVar(&options.HTTPAddress, "http-address", options.HTTPAddress, "address for metrics, probes and plans")
	flags.StringVar(&options.TLSCertFile, "tls-cert-file", "", "PEM file of the certificate that KEDA is shown, read again when it changes; without it KEDA is answered in plain text")
	flags.StringVar(&options.TLSKeyFile, "tls-key-file", "", "PEM file of the certificate's private key")
	flags.StringVar(&options.TLSClientCAFile, "tls-client-ca-file", "", "PEM file of the authorities of which KEDA must have a certificate (mutual TLS)")
	flags.StringVar(&options.RecordingDir, "recording-dir", "", "directory that keeps decisions and what they were made from across restarts, for why and replay; without it they are kept in memory")
	flags.Int64Var(&options.RecordingMaxBytes, "recording-max-bytes", options.RecordingMaxBytes, "most that the recording may take; 0 is 64 MiB, or 16 MiB in memory")
	flags.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&options.LogFormat, "log-format", options.LogFormat, "text or json")
	flags.DurationVar(&options.MaxConnectionAge, "max-connection-age", options.MaxConnectionAge, "age at which KEDA has to make a new connection, which finds the present leader; 0 for never")
	flags.DurationVar(&options.ShutdownTimeout, "shutdown-timeout", options.ShutdownTimeout, "how long calls in progress may take to end")
	return c
}
