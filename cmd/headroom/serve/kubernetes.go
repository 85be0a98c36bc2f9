package serve

import (
	"cmp"
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
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/events"
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

	set     atomic.Pointer[policy.Set]    // in force
	ledger  atomic.Pointer[policy.Ledger] // that was remembered
	waiting atomic.Pointer[string]        // what the start waits for
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
	namespace := options.namespace()
	c.secrets = secret.New(secret.Options{Client: client, Reader: "Headroom's ServiceAccount in namespace " + namespace})
	recorder, err := events.Record(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	c.publisher = events.New(events.Options{Recorder: recorder, Workload: c.reference})
	c.memory = memory.New(memory.Options{
		Client: client, Installation: memory.Installation{Namespace: namespace}, Log: log,
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
		c.set.Store(&r.Set)
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

// run does everything until ctx ends. The policies of keeper come into force once
// memory and fleets were read.
func (c *cluster) run(ctx context.Context, keeper *policies.Keeper, origin *policies.Origin, state func() *scaler.State) {
	defer c.secrets.Close()
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() {
		if err := c.watched.Run(ctx); err != nil {
			c.log.Error("Kubernetes is not watched", "problem", err.Error())
		}
	})
	if !c.start(ctx, keeper) {
		return
	}
	running.Go(func() { c.maps.Run(ctx, origin) })
	running.Go(func() { c.memory.Run(ctx, state) })
	running.Go(func() { c.publisher.Run(ctx, state) })
	recheck := time.NewTicker(recheckEvery)
	defer recheck.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-recheck.C:
			keeper.Recheck()
		}
	}
}

// start reads what has to be known before the first plan, and returns false when
// ctx ends first. While the API server is away it says so, and tries again.
func (c *cluster) start(ctx context.Context, keeper *policies.Keeper) bool {
	var loaded memory.Loaded
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) (err error) { loaded, err = c.memory.Load(ctx); return err },
		c.watched.Fresh,
	} {
		said := ""
		for {
			err := c.attempt(ctx, step)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return false
			}
			if c.waits(err.Error()); err.Error() != said {
				said = err.Error()
				c.log.Warn("waiting for Kubernetes: nothing is planned before it was read", "problem", said)
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
	for _, err := range c.watched.Refused() {
		c.log.Warn("the API server does not show something: workloads that need it can't be known", "problem", err.Error())
	}
	c.ledger.Store(&loaded.Ledger)
	keeper.Restore(loaded.Kept)
	c.waits("")
	return true
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

// problem says what the first plan waits for, "" where it isn't Kubernetes.
func (c *cluster) problem() string {
	return cmp.Or(*c.waiting.Load(), c.maps.Problem())
}

// fleets is the source of the fleets of the policy in force.
func (c *cluster) fleets() fleet.Source {
	return c.watched.Fleets(func() []kube.Reference {
		set := c.set.Load()
		if set == nil {
			return nil
		}
		out := make([]kube.Reference, 0, len(set.Workloads))
		for _, w := range set.Workloads {
			out = append(out, referenceOf(w))
		}
		return out
	})
}
