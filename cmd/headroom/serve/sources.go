package serve

import (
	"context"
	"fmt"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/fleet"
	"github.com/keda-headroom/headroom/metrics/poll"
	"github.com/keda-headroom/headroom/metrics/postgres"
	"github.com/keda-headroom/headroom/metrics/sqs"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
)

// open makes the sources that read the real systems.
func open(queues *sqs.Client, fleets fleet.Source, sessionAge time.Duration) scaler.Open {
	return scaler.Open{
		Database: func(d policy.Database, logins func() []scaler.Login) (poll.Source[metrics.Database], error) {
			return openDatabase(d, logins, sessionAge)
		},
		Queue: func(q policy.SQS) (poll.Source[metrics.Queue], error) {
			return queues.Queue(sqs.Location{URL: q.QueueURL, Name: q.QueueName, Region: q.Region, Endpoint: q.Endpoint})
		},
		Fleets: func() (poll.Source[scaler.Fleets], error) { return fleets, nil },
	}
}

// database is a PostgreSQL server that is asked about the logins of the policy in
// force.
type database struct {
	*postgres.Source
	logins func() []scaler.Login
}

func openDatabase(d policy.Database, logins func() []scaler.Login, sessionAge time.Duration) (database, error) {
	if d.PostgreSQL == nil {
		return database{}, fmt.Errorf("database %s has no engine that can be read", d.ID)
	}
	dsn := postgres.FromFile(d.PostgreSQL.DSN.File)
	if d.PostgreSQL.DSN.Env != "" {
		dsn = postgres.FromEnvironment(d.PostgreSQL.DSN.Env)
	}
	return database{Source: postgres.Open(postgres.Options{DSN: dsn, Renew: sessionAge}), logins: logins}, nil
}

// Read reads the server.
func (d database) Read(ctx context.Context) (metrics.Database, error) {
	var logins []postgres.Login
	for _, l := range d.logins() {
		logins = append(logins, postgres.Login(l))
	}
	d.SetLogins(logins)
	return d.Source.Read(ctx)
}
