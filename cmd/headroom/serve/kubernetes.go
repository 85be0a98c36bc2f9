package serve

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/keda-headroom/headroom/metrics/fleet"
	"github.com/keda-headroom/headroom/metrics/kube"
	"github.com/keda-headroom/headroom/metrics/kube/secret"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/condition"
	"github.com/keda-headroom/headroom/scaler/events"
	"github.com/keda-headroom/headroom/scaler/gate"
	"github.com/keda-headroom/headroom/scaler/leader"
	"github.com/keda-headroom/headroom/scaler/memory"
	"github.com/keda-headroom/headroom/scaler/policies"
	"github.com/keda-headroom/headroom/scaler/policyconfigmap"
)

const (
	// startRetry is how long a step of the start waits before it is tried again.
	startRetry = time.Second
	// recheckEvery is how often it is looked whether a frozen workload was opted
	// out.
	recheckEvery = time.Second
)

// cluster is everything that a service has to do with Kubernetes. Nothing of it
// is done before start.
type cluster struct {
	options Options
	log     *slog.Logger

	watched   *kube.Cluster
	secrets   *secret.Secrets
	memory    *memory.Store
	publisher *events.Publisher
	maps      *policyconfigmap.Watcher
	leader    *leader.Leader
	client    kubernetes.Interface

	now     atomic.Pointer[inForce]       // nil before there is a policy in force
	ledger  atomic.Pointer[policy.Ledger] // that was remembered
	waiting atomic.Pointer[string]        // what readiness waits for
}

// openCluster returns a cluster that nobody has spoken to yet. Events are sent
// until ctx ends.
func openCluster(ctx context.Context, options Options, log *slog.Logger) (*cluster, error) {
	config := options.KubeConfig
	if config == nil {
		var err error
		if config, err = options.Cluster.Config(); err != nil {
			return nil, err
		}
	}
	config = rest.CopyConfig(config)
	config.Timeout = 0 // it would end watches too
	config.UserAgent = "headroom"
	c := &cluster{options: options, log: log}
	var err error
	if c.watched, err = kube.New(kube.Options{Config: config, Log: log}); err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	c.client = client
	if c.leader, err = options.leader(config, c.watched, log); err != nil {
		return nil, err
	}
	namespace := options.namespace()
	c.secrets = secret.New(secret.Options{Client: client, Reader: "Headroom's ServiceAccount in namespace " + namespace})
	recorder, err := events.Record(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	c.publisher = events.New(events.Options{Recorder: recorder, Workload: c.reference})
	c.memory = memory.New(memory.Options{
		Client: client, Installation: memory.Installation{Namespace: namespace}, Leads: c.leader.Leading, Log: log,
		Shared: func(object, sentence string) {
			about := &corev1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: namespace, Name: object}
			c.publisher.Remark(about, events.DatabaseShared, sentence)
		},
	})
	c.maps, err = policyconfigmap.New(policyconfigmap.Options{Client: client, Log: log})
	c.waits("Kubernetes was not read yet")
	return c, err
}

// judged is told of the policy in force, before anybody plans by it.
func (c *cluster) judged(r policies.Result) {
	if r.InForce {
		c.now.Store(inForceOf(r))
	}
	c.memory.Keep(r.Kept)
	c.publisher.Policies(r)
}

// remembered returns what the first decision is given.
func (c *cluster) remembered() policy.Ledger {
	if l := c.ledger.Load(); l != nil {
		return *l
	}
	return policy.Ledger{}
}

// live watches the cluster until ctx ends, and leads when it is its turn. It fails
// where another one leads after this one did.
func (c *cluster) live(ctx context.Context, lead func(ctx context.Context)) error {
	watching, end := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer running.Wait()
	defer end()
	running.Go(func() {
		if err := c.watched.Run(watching); err != nil {
			c.log.Error("Kubernetes is not watched", "problem", err.Error())
		}
	})
	if !c.until(ctx, "waiting for Kubernetes: this one can't lead before it was read", c.watched.Fresh) {
		return nil
	}
	for _, err := range c.watched.Refused() {
		c.log.Warn("the API server does not show something: workloads that need it can't be known", "problem", err.Error())
	}
	c.waits("")

	// The lease is let go when nothing acts any more, and not before.
	candidate, resign := context.WithCancel(watching)
	defer resign()
	ended := make(chan error, 1)
	running.Go(func() { ended <- c.leader.Run(candidate) })
	acting, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	select {
	case <-ctx.Done():
	case err := <-ended:
		stop()
		return err
	case <-c.leader.Led():
		work.Go(func() { lead(acting) })
	}
	var err error
	select {
	case <-ctx.Done():
		work.Wait()
		resign()
		err = <-ended
	case err = <-ended:
	}
	stop()
	work.Wait()
	return err
}

// act does everything that only the leader does, until ctx ends. The policies of
// keeper come into force once memory was read.
func (c *cluster) act(ctx context.Context, with actsWith) {
	if !c.start(ctx, with.keeper) {
		return
	}
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { c.maps.Run(ctx, with.origin) })
	running.Go(func() { c.memory.Run(ctx, with.state) })
	running.Go(func() { c.publisher.Run(ctx, with.state) })
	teller := condition.New(condition.Options{
		Client: c.client.CoreV1().RESTClient(), State: with.state, Leading: c.leader.Epoch, Done: with.told, Log: c.log,
	})
	running.Go(func() { teller.Run(ctx) })
	actor := gate.New(gate.Options{
		Client: c.client.CoreV1().RESTClient(), State: with.state, Leading: c.leader.Epoch, Confirm: c.leader.Confirm, Log: c.log,
		Done: func(o gate.Outcome) {
			with.done(o)
			c.publisher.Outcome(o)
			teller.Outcome(o)
		},
	})
	running.Go(func() { actor.Run(ctx) })
	var others strangers
	recheck := time.NewTicker(recheckEvery)
	defer recheck.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-recheck.C:
			with.keeper.Recheck()
			count, lines := others.look(time.Now(), c.watched.Gated(), with.state())
			with.ungoverned(count)
			for _, line := range lines {
				c.log.Warn("pods wait at the gate that no policy governs, or whose workload can't be read: nobody lets them through; headroom release does", "pods", line)
			}
		}
	}
}

// start reads what has to be known before the first plan, and returns false when
// ctx ends first.
func (c *cluster) start(ctx context.Context, keeper *policies.Keeper) bool {
	var loaded memory.Loaded
	if !c.until(ctx, "waiting for Kubernetes: nothing is planned before it was read", func(ctx context.Context) (err error) {
		loaded, err = c.memory.Load(ctx)
		return err
	}) {
		return false
	}
	c.ledger.Store(&loaded.Ledger)
	keeper.Restore(loaded.Kept)
	return true
}

// until tries a step until it succeeds, and returns false when ctx ends first.
// While the API server is away it says so.
func (c *cluster) until(ctx context.Context, what string, step func(context.Context) error) bool {
	said := ""
	for {
		err := c.attempt(ctx, step)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if *c.waiting.Load() != "" {
			c.waits(err.Error())
		}
		if err.Error() != said {
			said = err.Error()
			c.log.Warn(what, "problem", said)
		}
		again := time.NewTimer(startRetry)
		select {
		case <-ctx.Done():
			again.Stop()
			return false
		case <-again.C:
		}
	}
}

func (c *cluster) attempt(ctx context.Context, step func(context.Context) error) error {
	if timeout := c.options.Cluster.RequestTimeout; timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return step(ctx)
}

func (c *cluster) waits(why string) { c.waiting.Store(&why) }

// problem says why this one could not lead, "" where it could. Once it could, it is
// ready for good: whether it leads, and whether a policy is in force, is told
// elsewhere, and nobody's rollout has to wait for it.
func (c *cluster) problem() string {
	if why := *c.waiting.Load(); why != "" {
		return "not ready to lead: " + why
	}
	return ""
}

// standby says who leads, until this process does for the first time. From then on
// it answers, or ends.
func (c *cluster) standby() string {
	select {
	case <-c.leader.Led():
		return ""
	default:
	}
	if holder := c.leader.Holder(); holder != "" {
		return fmt.Sprintf("not the leader (%s leads)", holder)
	}
	return "not the leader (nobody is seen to lead)"
}

// fleets is the source of the fleets of the policy in force.
func (c *cluster) fleets() fleet.Source {
	return c.watched.Fleets(func() []kube.Reference { return c.now.Load().references() })
}
