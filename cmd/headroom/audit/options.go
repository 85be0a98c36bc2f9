// Package audit is the command headroom audit: what the fleets of a cluster could
// open on each database, against what it allows. It only reads, and needs nothing
// installed.
package audit

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/internal/kubeflags"
	"github.com/keda-headroom/headroom/internal/output"
)

// DefaultConnectionsPerPod is what a pod is taken to open where nothing says it.
const DefaultConnectionsPerPod = 10

// Options are the command's arguments.
type Options struct {
	// Cluster chooses the cluster. Without a namespace every one is looked at.
	Cluster kubeflags.Flags
	// ConnectionsPerPod is assumed of pods that don't say how many they open.
	ConnectionsPerPod int
	// AssumeDatabase is the database of fleets that don't say theirs; "" leaves
	// them apart.
	AssumeDatabase string
	// DSNFiles, DSNEnvironment and MaxConnections say how to know what a database
	// allows: each NAME=VALUE, NAME as the report calls it.
	DSNFiles, DSNEnvironment, MaxConnections []string
	// ReadSecrets lets the Secrets be read that pods take variables from. Of them
	// only the databases' hosts are kept.
	ReadSecrets bool
	// Output is table, json or yaml.
	Output string
	// Timeout bounds the reading of one database; 0 is 10 s.
	Timeout time.Duration
	// Out gets the report. Program is the version of this program.
	Out     io.Writer
	Program string
}

// Validate reports everything that can't be right about the options.
func (o Options) Validate() error {
	var all []error
	if err := o.Cluster.Validate(); err != nil {
		all = append(all, err)
	}
	if o.ConnectionsPerPod < 1 || o.ConnectionsPerPod > 1_000_000 {
		all = append(all, fmt.Errorf("--connections-per-pod: expected 1 to 1000000, found %d", o.ConnectionsPerPod))
	}
	for flag, pairs := range map[string][]string{"--dsn-file": o.DSNFiles, "--dsn-env": o.DSNEnvironment, "--max-connections": o.MaxConnections} {
		for _, pair := range pairs {
			name, value, ok := strings.Cut(pair, "=")
			if strings.Contains(name, "://") || !ok || name == "" || value == "" || (flag == "--dsn-env" && strings.ContainsAny(value, ":/@ ")) {
				// What was found could be a data source name: it is not shown.
				all = append(all, fmt.Errorf("%s: expected DATABASE=VALUE, such as %s", flag, map[string]string{
					"--dsn-file": "orders-db.shop.svc=/etc/orders/dsn", "--dsn-env": "orders-db.shop.svc=ORDERS_DSN", "--max-connections": "orders-db.shop.svc=100",
				}[flag]))
				continue
			}
			if n, err := strconv.Atoi(value); flag == "--max-connections" && (err != nil || n < 1) {
				all = append(all, fmt.Errorf("--max-connections: expected a whole number of 1 or more for %s, found %q", name, value))
			}
		}
	}
	if err := output.Check(o.Output); err != nil {
		all = append(all, err)
	}
	return errors.Join(all...)
}
