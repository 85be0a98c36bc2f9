package serve

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"time"

	"github.com/keda-headroom/headroom/metrics/fleet"
	"github.com/keda-headroom/headroom/metrics/kube/secret"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/gate"
	"github.com/keda-headroom/headroom/scaler/policies"
)

// surroundings are what a service has instead of Kubernetes, or Kubernetes.
type surroundings struct {
	fleets  fleet.Source
	changed <-chan struct{}
	// secrets, ledger, optedOut, leaves, ready and standby are nil without Kubernetes.
	secrets  *secret.Secrets
	ledger   func() policy.Ledger
	optedOut func(policy.Workload) bool
	leaves   func(policy.Workload, []policy.Workload) (policy.Workload, bool)
	judged   func(policies.Result)
	// term is the term in which this process leads, leads whether it does, standby
	// says who does where it is another one, ready what this one waits for.
	term    func() (epoch string, since time.Time, ok bool)
	leads   func() bool
	standby func() string
	ready   func() string

	// live goes on until ctx ends, and calls lead, which goes on until its own ctx
	// does, once it is this process's turn. When it returns nothing acts any more,
	// and another one may lead. It fails where another one leads already. Without
	// Kubernetes it is nil: nobody else could lead.
	live func(ctx context.Context, lead func(ctx context.Context)) error
	// succeeded waits, after live, until another one leads, and says whether one
	// does; nil without Kubernetes.
	succeeded func(ctx context.Context) bool
	// close lets go of what sources use, after them.
	close func()
	// act does what only the leader does, until ctx ends; nil without Kubernetes.
	act func(ctx context.Context, with actsWith)
}

// actsWith is what a leader acts with.
type actsWith struct {
	keeper *policies.Keeper
	origin *policies.Origin // of policies in ConfigMaps
	state  func() *scaler.State
	done   func(gate.Outcome) // is told what was done to pods
	told   func(gate.Result)  // and whether pods could be told their condition
	// ungoverned is told how many pods wait at the gate, by namespace, that no policy
	// governs.
	ungoverned func(map[string]int)
}

// look says what surrounds the service. It does no I/O but reading files.
func look(ctx context.Context, options Options, log *slog.Logger) (surroundings, error) {
	if options.Fleets != "" {
		fleets, err := fleet.Open(options.Fleets)
		epoch := options.Epoch
		if epoch == "" {
			epoch = newEpoch()
		}
		return surroundings{
			fleets: fleets, judged: func(policies.Result) {}, close: func() {},
			term:  func() (string, time.Time, bool) { return epoch, time.Time{}, true },
			leads: func() bool { return true },
		}, err
	}
	c, err := openCluster(ctx, options, log)
	if err != nil {
		return surroundings{}, err
	}
	return surroundings{
		fleets: c.fleets(), changed: c.watched.Changed(), secrets: c.secrets,
		ledger: c.remembered, optedOut: c.optedOut, leaves: c.leaves, judged: c.judged,
		term: c.leader.Term, leads: c.leader.Leading, standby: c.standby, ready: c.problem,
		live: c.live, act: c.act, succeeded: c.leader.Succeeded, close: c.secrets.Close,
	}, nil
}

// newEpoch is the term of a process that nobody else can follow.
func newEpoch() string {
	random := make([]byte, 4)
	_, _ = rand.Read(random) // never fails
	return "alone_" + hex.EncodeToString(random)
}
