package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"

	"github.com/keda-headroom/headroom/internal/fakeaws"
	"github.com/keda-headroom/headroom/internal/otherapp"
	"github.com/keda-headroom/headroom/internal/worker"
	"github.com/keda-headroom/headroom/metrics"
)

// contender is what decides how many workers there are.
type contender string

const (
	plain    contender = "plain"    // aws-sqs-queue with KEDA's defaults
	governed contender = "headroom" // external-push to Headroom
	bound    contender = "bound"    // a fixed number that just fits
)

// stage is what all runs share.
type stage struct {
	scenario scenario
	site     *site
	queues   *fakeaws.Server
	headroom string   // path of the program
	worker   []string // command of a worker
	dir      string   // for files
	progress *progress
	log      *slog.Logger
}

// cast is what takes part in one run.
type cast struct {
	*stage
	who     contender
	index   int // of the run, which has addresses of its own
	table   string
	burst   *burst
	fleet   *fleet
	other   *otherapp.App
	watch   *occupancy
	workers tally // of workers' events
	web     tally // of the other application's events

	// closing is called in reverse order at the end.
	closing []func()
}

// run runs the burst with one contender, and leaves the site as it was.
func (st *stage) run(ctx context.Context, who contender, index int) (Outcome, error) {
	c := &cast{stage: st, who: who, index: index}
	out, err := c.play(ctx)
	if err != nil {
		return Outcome{}, fmt.Errorf("run %s: %w", who, err)
	}
	return out, nil
}

func (c *cast) onClose(f func()) { c.closing = append(c.closing, f) }

// end ends everything that takes part, last come first.
func (c *cast) end() {
	for len(c.closing) > 0 {
		last := len(c.closing) - 1
		f := c.closing[last]
		c.closing = c.closing[:last]
		f()
	}
}

func (c *cast) play(ctx context.Context) (out Outcome, err error) {
	defer c.end()
	s := c.scenario
	if err := c.site.quiet(ctx); err != nil {
		return out, err
	}
	var logFrom int64
	if c.site.byLog {
		if _, logFrom, err = c.site.logged(0); err != nil {
			return out, err
		}
	}
	if err := c.setUp(ctx); err != nil {
		return out, err
	}
	scaling, err := c.contend(ctx)
	if err != nil {
		return out, err
	}

	// Everything stands; from here on the clock runs.
	ctx, stop := context.WithTimeout(ctx, s.cutOff)
	defer stop()
	began := time.Now()
	var acting sync.WaitGroup
	defer acting.Wait()
	defer stop()
	acting.Go(func() { scaling(ctx) })
	// The clock of the spike is the same in every run. It is over when the run is.
	spikeAt := began.Add(s.spikeAfter)
	acting.Go(func() {
		select {
		case <-time.After(s.spikeAfter):
			c.other.Spike(ctx, s.otherSpike, s.spikeFor)
		case <-ctx.Done():
		}
	})
	shown := make(chan struct{})
	showing, stopShowing := context.WithCancel(ctx)
	go func() {
		defer close(shown)
		c.show(showing, began)
	}()
	err = c.burst.send(ctx, s.messages)
	drained := err == nil && c.burst.drained(ctx)
	took, occupied := time.Since(began), c.watch.now()
	stopShowing()
	<-shown
	cut := errors.Is(ctx.Err(), context.DeadlineExceeded)
	if err != nil && !cut {
		return out, err
	}
	if !drained && !cut {
		return out, context.Cause(ctx)
	}
	stop()
	acting.Wait()
	c.end() // whoever is refused until then, is

	out = c.outcome(took, drained, occupied, spikeAt)
	bare := context.WithoutCancel(ctx) // the run's own time is over
	if out.Handled, err = c.site.handled(bare, c.table); err != nil {
		return out, err
	}
	if c.site.byLog {
		byRole, _, err := c.site.logged(logFrom)
		if err != nil {
			return out, err
		}
		out.Server = serverRefusals(byRole, c.site.worker.role, c.site.other.role)
	}
	return out, nil
}

// setUp brings up what every run has: schema, queue, watch, other application,
// fleet.
func (c *cast) setUp(ctx context.Context) (err error) {
	s := c.scenario
	name := fmt.Sprintf("demo_%s", c.who)
	if c.table, err = c.site.prepare(ctx, name); err != nil {
		return err
	}
	if c.burst, err = newBurst(ctx, c.queues, "orders-"+string(c.who)); err != nil {
		return err
	}
	config := worker.Config{
		DSN: c.site.worker.dsn, Table: c.table, Connections: s.connectionsPerPod, Work: s.work,
		Endpoint: c.queues.URL(), Region: queueRegion, QueueURL: c.burst.url,
		AccessKeyID: queueKey, SecretAccessKey: queueKey,
	}
	otherFrom := ""
	if c.site.addresses {
		config.Address, otherFrom = "each pod's own", otherAddress
	}
	c.watch = &occupancy{usable: c.site.usable, sample: c.site.sample}
	watching, stopWatching := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		c.watch.watch(watching)
	}()
	c.onClose(func() {
		stopWatching()
		<-watched
	})
	if c.other, err = startOther(ctx, s, c.site.other.dsn, otherFrom, c.web.add); err != nil {
		return fmt.Errorf("the other application: %w", err)
	}
	c.onClose(c.other.Stop)
	c.fleet = newFleet(workloadName, podOptions{command: c.worker, config: config, event: c.workers.add},
		func(index int) string { return podAddress(c.index, index) })
	c.onClose(c.fleet.close)
	return nil
}

// contend brings up what decides, and returns what it does while the burst
// runs.
func (c *cast) contend(ctx context.Context) (scaling func(context.Context), err error) {
	s, log := c.scenario, c.log.With("run", c.who)
	var t trigger
	options := s.defaultHPA()
	switch c.who {
	case bound:
		c.fleet.scale(s.boundReplicas(c.site.watcher))
		return func(context.Context) {}, c.fleetReady(ctx)
	case plain:
		t = &sqsTrigger{client: c.burst.client, url: c.burst.url, queueLength: s.queueLength}
	case governed:
		options = s.shippedHPA()
		if t, err = c.startHeadroom(ctx); err != nil {
			return nil, err
		}
	}
	a, err := newAutoscaler(ctx, s, options, t, c.fleet, log)
	if err != nil {
		return nil, err
	}
	return a.run, nil
}

// fleetReady waits until every pod is ready.
func (c *cast) fleetReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("the workers are not ready after 30 s"))
	defer cancel()
	for {
		pods, ready, _ := c.fleet.counts()
		if ready == pods {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// startHeadroom starts the server, and returns when it may promise something.
func (c *cast) startHeadroom(ctx context.Context) (trigger, error) {
	s := c.scenario
	document, err := policyDocument(s, c.site, c.queues.URL(), c.burst.url)
	if err != nil {
		return nil, err
	}
	id := metrics.ID{Namespace: namespace, Name: workloadName}
	object := s.scaledObject()
	fleets, err := serveFleets(func() map[metrics.ID]metrics.Fleet {
		return map[metrics.ID]metrics.Fleet{id: c.fleet.snapshot(object.MinReplicaCount, object.MaxReplicaCount)}
	})
	if err != nil {
		return nil, err
	}
	c.onClose(fleets.close)
	h, err := startHeadroom(ctx, c.headroom, c.dir, document, c.site.monitor.dsn, fleets.url)
	if err != nil {
		return nil, err
	}
	c.onClose(h.stop)
	c.progress.say("Headroom watches the other application for %v before it promises anything", s.othersWindow)
	if err := h.ready(ctx, s.othersWindow); err != nil {
		return nil, err
	}
	t, err := newExternalTrigger(h.grpc, &pb.ScaledObjectRef{
		Name: workloadName, Namespace: namespace,
		ScalerMetadata: map[string]string{"scalerAddress": h.grpc, "workload": workloadName},
	})
	if err != nil {
		return nil, err
	}
	c.onClose(t.close)
	return t, nil
}

// show tells once a second how the run stands.
func (c *cast) show(ctx context.Context, began time.Time) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			c.progress.status(c.status(time.Since(began)))
			return
		case <-ticker.C:
			c.progress.status(c.status(time.Since(began)))
		}
	}
}

func (c *cast) status(elapsed time.Duration) status {
	spec, _ := c.fleet.scaleSubresource()
	pods, ready, _ := c.fleet.counts()
	return status{
		run: c.who, elapsed: elapsed, backlog: c.burst.left(), spec: spec, pods: pods, ready: ready,
		used: c.watch.now().last.total(), usable: c.site.usable,
		workers: c.workers.now().refusals, other: c.web.now().refusals,
		spiking: elapsed >= c.scenario.spikeAfter && elapsed < c.scenario.spikeAfter+c.scenario.spikeFor,
	}
}
