package serve

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/cloudwatch"
	"github.com/keda-headroom/headroom/metrics/fleet"
	"github.com/keda-headroom/headroom/metrics/kube/secret"
	"github.com/keda-headroom/headroom/metrics/poll"
	"github.com/keda-headroom/headroom/metrics/postgres"
	"github.com/keda-headroom/headroom/metrics/sqs"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
)

// open makes the sources that read the real systems.
func open(queues *sqs.Client, points *cloudwatch.Client, fleets fleet.Source, secrets *secret.Secrets, sessionAge time.Duration) scaler.Open {
	return scaler.Open{
		Database: func(d policy.Database, logins func() []scaler.Login) (poll.Source[metrics.Database], error) {
			return openDatabase(d, logins, secrets, sessionAge)
		},
		Queue: func(q policy.SQS) (poll.Source[metrics.Queue], error) {
			return queues.Queue(location(q))
		},
		Points: published{points},
		Fleets: func() (poll.Source[scaler.Fleets], error) { return fleets, nil },
	}
}

// location says where the queue of a policy is.
func location(q policy.SQS) sqs.Location {
	return sqs.Location{URL: q.QueueURL, Name: q.QueueName, Region: q.Region, Endpoint: q.Endpoint}
}

// published opens what CloudWatch knows of queues.
type published struct{ client *cloudwatch.Client }

func (p published) Find(q policy.SQS) (cloudwatch.Place, string, error) {
	return p.client.Find(location(q))
}

func (p published) Open(place cloudwatch.Place, names func() []string) poll.Source[cloudwatch.Queues] {
	return p.client.Open(place, names)
}

// database is a PostgreSQL server that is asked about the logins of the policy in
// force.
type database struct {
	*postgres.Source
	logins func() []scaler.Login
	secret *secret.Value // that holds the DSN, nil where another place does
}

// openDatabase opens the source of a database; secrets is nil without Kubernetes.
func openDatabase(d policy.Database, logins func() []scaler.Login, secrets *secret.Secrets, sessionAge time.Duration) (database, error) {
	if d.PostgreSQL == nil {
		return database{}, fmt.Errorf("database %s has no engine that can be read", d.ID)
	}
	out := database{logins: logins}
	dsn := postgres.FromFile(d.PostgreSQL.DSN.File)
	switch kept := d.PostgreSQL.DSN; {
	case kept.Env != "":
		dsn = postgres.FromEnvironment(kept.Env)
	case kept.Secret != nil && secrets == nil:
		return database{}, fmt.Errorf("the DSN of database %s is in a Secret (secretKeyRef), and Kubernetes is not used: leave --fleets out, or name a file or an environment variable", d.ID)
	case kept.Secret != nil:
		out.secret = secrets.Key(metrics.ID{Namespace: d.ID.Namespace, Name: kept.Secret.Name}, kept.Secret.Key)
		dsn = postgres.DSN{Origin: out.secret.String(), Read: out.secret.Read}
	}
	out.Source = postgres.Open(postgres.Options{DSN: dsn, Renew: sessionAge})
	return out, nil
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

// Close closes the session, and lets go of the Secret.
func (d database) Close() error {
	err := d.Source.Close()
	if d.secret != nil {
		err = errors.Join(err, d.secret.Close())
	}
	return err
}
