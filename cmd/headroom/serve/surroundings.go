package serve

import (
	"context"
	"log/slog"
	"sync"

	"github.com/keda-headroom/headroom/metrics/fleet"
	"github.com/keda-headroom/headroom/metrics/kube/secret"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/policies"
)

// surroundings are what a service has instead of Kubernetes, or Kubernetes.
type surroundings struct {
	fleets  fleet.Source
	changed <-chan struct{}
	// secrets, ledger, optedOut and waiting are nil without Kubernetes.
	secrets  *secret.Secrets
	ledger   func() policy.Ledger
	optedOut func(policy.Workload) bool
	waiting  func() string
	judged   func(policies.Result)
	// begin starts what goes on until ctx ends, and adds what policies come from.
	begin func(ctx context.Context, running *sync.WaitGroup, keeper *policies.Keeper, state func() *scaler.State)
}

// look says what surrounds the service. It does no I/O but reading files.
func look(ctx context.Context, options Options, log *slog.Logger) (surroundings, error) {
	if options.Fleets != "" {
		fleets, err := fleet.Open(options.Fleets)
		return surroundings{
			fleets: fleets, judged: func(policies.Result) {},
			begin: func(context.Context, *sync.WaitGroup, *policies.Keeper, func() *scaler.State) {},
		}, err
	}
	c, err := openCluster(ctx, options, log)
	if err != nil {
		return surroundings{}, err
	}
	return surroundings{
		fleets: c.fleets(), changed: c.watched.Changed(), secrets: c.secrets,
		ledger: c.remembered, optedOut: c.optedOut, waiting: c.problem, judged: c.judged,
		begin: func(ctx context.Context, running *sync.WaitGroup, keeper *policies.Keeper, state func() *scaler.State) {
			origin := keeper.Origin("configmaps", false)
			running.Go(func() { c.run(ctx, keeper, origin, state) })
		},
	}, nil
}
