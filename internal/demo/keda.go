package demo

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/keda-headroom/headroom/internal/hpa"
	"github.com/keda-headroom/headroom/internal/kedasim"
)

// trigger is what KEDA asks.
type trigger interface {
	// target is the AverageValue for the HPA, in thousandths.
	target(ctx context.Context) (milli int64, err error)
	// ask makes the calls of one query.
	ask(ctx context.Context) (answer, error)
	// push calls say for everything that the trigger says by itself, until ctx
	// ends.
	push(ctx context.Context, say func(active bool))
}

// answer is what a trigger says.
type answer struct {
	milli  int64 // the metric, in thousandths
	active bool
}

// scalable is the scale subresource of a workload.
type scalable interface {
	scale(replicas int)
	scaleSubresource() (spec, status int)
}

// autoscaler is KEDA and the HPA that it creates, for one ScaledObject. Both act
// on the same scale subresource; a query of the HPA goes through KEDA to the
// trigger.
type autoscaler struct {
	keda    *kedasim.Executor
	hpa     *hpa.Controller
	trigger trigger
	scale   scalable
	sync    time.Duration
	log     *slog.Logger
}

// newAutoscaler creates the ScaledObject: KEDA asks the trigger for the target
// and creates the HPA with it.
func newAutoscaler(ctx context.Context, s scenario, options hpa.Options, t trigger, target scalable, log *slog.Logger) (*autoscaler, error) {
	milli, err := t.target(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the trigger for its metric: %w", err)
	}
	options.TargetMilli = milli
	controller, err := hpa.New(options)
	if err != nil {
		return nil, fmt.Errorf("the HPA: %w", err)
	}
	return &autoscaler{
		keda: kedasim.NewExecutor(s.scaledObject()), hpa: controller,
		trigger: t, scale: target, sync: s.syncPeriod(), log: log,
	}, nil
}

// run polls and syncs until ctx ends. KEDA holds a lock while it asks, so one
// goroutine for all of it is no less than KEDA has.
func (a *autoscaler) run(ctx context.Context) {
	pushed := make(chan bool)
	done := make(chan struct{})
	defer func() { <-done }()
	go func() {
		defer close(done)
		a.trigger.push(ctx, func(active bool) {
			select {
			case pushed <- active:
			case <-ctx.Done():
			}
		})
	}()
	poll := time.NewTicker(a.keda.PollingInterval())
	defer poll.Stop()
	sync := time.NewTimer(a.sync)
	defer sync.Stop()
	a.poll(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case active := <-pushed:
			current, _ := a.scale.scaleSubresource()
			a.set("KEDA was told by StreamIsActive", current, a.keda.Push(time.Now(), current, active))
		case <-poll.C:
			a.poll(ctx)
		case <-sync.C:
			a.reconcile(ctx)
			sync.Reset(a.sync) // a fixed delay after each sync
		}
	}
}

// poll is KEDA's: from zero to one and back.
func (a *autoscaler) poll(ctx context.Context) {
	said, err := a.trigger.ask(ctx)
	if err != nil {
		a.log.Warn("KEDA's poll failed", "error", err)
	}
	current, _ := a.scale.scaleSubresource()
	a.set("KEDA polled", current, a.keda.Poll(time.Now(), current, said.active, err != nil))
}

// reconcile is the HPA's sync.
func (a *autoscaler) reconcile(ctx context.Context) {
	spec, status := a.scale.scaleSubresource()
	var metric hpa.Metric
	if a.hpa.Queries(spec) {
		said, err := a.trigger.ask(ctx)
		metric = hpa.Metric{Milli: said.milli, Err: err}
		if err != nil {
			a.log.Warn("the HPA's query failed", "error", err)
		}
	}
	a.set("the HPA synced", spec, a.hpa.Sync(time.Now(), spec, status, metric))
}

func (a *autoscaler) set(why string, from, to int) {
	if from == to {
		return
	}
	a.log.Info(why, "from", from, "to", to)
	a.scale.scale(to)
}
