package main

import (
	"github.com/spf13/cobra"

	"github.com/keda-headroom/headroom/cmd/headroom/audit"
	"github.com/keda-headroom/headroom/internal/buildinfo"
	"github.com/keda-headroom/headroom/internal/kubeflags"
)

func newAuditCommand() *cobra.Command {
	options := audit.Options{
		Cluster: kubeflags.Flags{RequestTimeout: kubeflags.DefaultTimeout}, Output: "table", ConnectionsPerPod: audit.DefaultConnectionsPerPod,
	}
	c := &cobra.Command{
		Use:   "audit",
		Short: "Say what a cluster's fleets could open on each database, against what it allows",
		Long: `Audit adds up, for each database, the connections that the pods of a cluster could
open if every fleet ran as many as it may, and compares them with what the database
allows. It only reads: nothing is installed or changed, and Headroom need not run.

Counted are ScaledObjects and ScaledJobs (maxReplicaCount), HPAs (maxReplicas), and
Deployments, StatefulSets and DaemonSets of a fixed size that use the same
database; a Deployment's maxSurge comes on top. What a pod opens, and on which
database, is known from Headroom's policies where there are any, else from the pods'
environment: connection strings and hosts (DATABASE_URL, *_DSN, PGHOST, DB_HOST, …)
and sizes of pools (DB_POOL_SIZE, SPRING_DATASOURCE_HIKARI_MAXIMUM_POOL_SIZE,
RAILS_MAX_THREADS, …), as values and from ConfigMaps. Secrets are read with
--read-secrets only, and only a host is kept of them. Where nothing says how many
connections a pod opens, --connections-per-pod is assumed, and the row says so.

What a database allows is read from it with one connection (--dsn-file, --dsn-env;
PostgreSQL), or said (--max-connections). A data source name never stands on the
command line. A database is called by its host, as the report has it, or by its
policy's NAMESPACE/NAME.

It exits with 0 where everything fits or nothing is known, 1 where some database
can be exceeded or something failed, and 2 where it was called wrongly.`,
		Example: `  headroom audit --context production

  # What the database says itself, by a login that may connect
  headroom audit --dsn-file orders-db.shop.svc=/etc/headroom/orders-db/dsn

  # Without a login: the limit is known to be 200
  headroom audit --max-connections orders-db.shop.svc=200 --connections-per-pod 5

  # The databases that can be exceeded
  headroom audit -o json | jq -r '.databases[] | select(.verdict == "Exceeded").name'`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			options.Out, options.Program = c.OutOrStdout(), buildinfo.Get().Version
			if err := options.Validate(); err != nil {
				return usageError{err}
			}
			return audit.Run(c.Context(), options)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	options.Cluster.AddCluster(flags)
	options.Cluster.AddNamespaces(flags, "look at this namespace alone; left out, at every one, because fleets of all may share a database")
	flags.StringArrayVar(&options.DSNFiles, "dsn-file", nil, "DATABASE=FILE: the file holds a data source name by which to read what the database allows (repeatable)")
	flags.StringArrayVar(&options.DSNEnvironment, "dsn-env", nil, "DATABASE=VARIABLE: the same from an environment variable (repeatable)")
	flags.StringArrayVar(&options.MaxConnections, "max-connections", nil, "DATABASE=N: what the database allows where it can't be read (repeatable)")
	flags.IntVar(&options.ConnectionsPerPod, "connections-per-pod", options.ConnectionsPerPod, "what a pod is taken to open where nothing says it")
	flags.StringVar(&options.AssumeDatabase, "assume-database", "", "database of scaled fleets that name none; left out, they are listed apart")
	flags.BoolVar(&options.ReadSecrets, "read-secrets", false, "read the Secrets that pods take variables from; only a database's host is kept")
	flags.StringVarP(&options.Output, "output", "o", options.Output, "table, json or yaml")
	options.Cluster.AddTimeout(flags)
	return c
}
