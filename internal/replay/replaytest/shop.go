package replaytest

import (
	"time"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// The database and the workload of [Shop].
var (
	OrdersDB = metrics.ID{Namespace: "platform", Name: "orders-db"}
	Workers  = metrics.ID{Namespace: "shop", Name: "order-workers"}
)

// Shop is a policy of one workload.
func Shop(reserve int) policy.Set {
	return policy.Set{
		Databases: []policy.Database{{
			ID: OrdersDB, PostgreSQL: &policy.PostgreSQL{DSN: policy.DSN{Secret: &policy.SecretKey{Name: "orders-db-monitor", Key: "dsn"}}},
			Reserve: intorpercent.Count(reserve), OthersWindow: 30 * time.Second, PollInterval: 2 * time.Second, MaxReadingAge: 10 * time.Second,
			MaxPriority: 100, AllowedNamespaces: []string{"shop"},
		}},
		Workloads: []policy.Workload{{
			ID: Workers, Mode: policy.Target, ScaledObject: "order-workers",
			Databases:              []policy.Use{{Database: OrdersDB, User: "worker", DatabaseName: "orders", ApplicationName: "orders-", ConnectionsPerPod: 5}},
			SQS:                    &policy.SQS{QueueURL: "https://sqs.eu-west-1.amazonaws.com/123456789012/orders", MessagesPerPod: 10, PollInterval: 5 * time.Second, StaleAfter: time.Minute, ErrorAfter: 5 * time.Minute},
			ScaleDownStabilization: time.Minute, ReadyTimeout: 10 * time.Minute,
		}},
	}
}
