package forecast

import (
	"fmt"
	"time"

	"github.com/keda-headroom/headroom/internal/hpa"
	"github.com/keda-headroom/headroom/internal/kedasim"
	"github.com/keda-headroom/headroom/policy"
)

// Contender is a way to choose replicas; exactly one of its kinds is set.
type Contender struct {
	Name string
	// Headroom is a policy of one workload.
	Headroom *policy.Group
	// Record is told of each of Headroom's decisions, as scaler.Recorder is; nil tells
	// nobody. It must keep nothing that it is given.
	Record func(at time.Time, g policy.Group, s policy.Snapshot, l policy.Ledger, p policy.Plan)
	// KEDA is KEDA's own trigger for the queue, with KEDA's defaults.
	KEDA *KEDA
	// Fixed is a number of replicas that never changes.
	Fixed *int
}

// KEDA is a ScaledObject with an aws-sqs-queue trigger.
type KEDA struct {
	// QueueLength is how many messages, waiting or in flight, justify a replica. 1 or
	// more.
	QueueLength int64
	// MaxReplicas is maxReplicaCount. 1 or more.
	MaxReplicas int
}

// scaler chooses replicas while a world is played.
type scaler interface {
	// replicas are those that run at the beginning.
	replicas() int
	// begin plans what the scaler does.
	begin()
	// limited is for how long each reason bound the target; nil where there are no
	// reasons.
	limited() map[policy.Reason]time.Duration
}

func (c Contender) scaler(r *run) (scaler, error) {
	switch {
	case c.Headroom != nil:
		return newHeadroom(r, *c.Headroom, c.Record)
	case c.KEDA != nil:
		return newKEDA(r, *c.KEDA)
	case c.Fixed != nil:
		return fixed(*c.Fixed), nil
	}
	return nil, fmt.Errorf("expected a policy, KEDA or a number of replicas, found nothing")
}

type fixed int

func (f fixed) replicas() int                          { return int(f) }
func (fixed) begin()                                   {}
func (fixed) limited() map[policy.Reason]time.Duration { return nil }

// scaledObject is KEDA and the HPA around an answer.
type scaledObject struct {
	r        *run
	executor *kedasim.Executor
	hpa      *hpa.Controller
	// metric and active answer KEDA; a failure is an error to it.
	metric func() hpa.Metric
	active func() (active, failed bool)
}

func (o *scaledObject) begin() {
	o.r.every(o.r.world.SyncOffset, hpa.SyncPeriod, o.sync)
	// KEDA began to poll when the ScaledObject was made, at any time.
	o.r.every(o.r.world.SyncOffset+o.executor.PollingInterval()/4, o.executor.PollingInterval(), func() {
		active, failed := o.active()
		o.r.scale(o.executor.Poll(o.r.clock(), o.r.spec, active, failed))
	})
}

func (o *scaledObject) sync() {
	metric := hpa.Metric{}
	if o.r.spec > 0 && o.hpa.Queries(o.r.spec) {
		metric = o.metric()
	}
	if n := o.hpa.Sync(o.r.clock(), o.r.spec, o.r.living(), metric); n != o.r.spec {
		o.r.scale(n)
	}
}

// clock is the time as whoever is asked for a decision sees it.
func (r *run) clock() time.Time { return r.base.Add(r.now) }

// keda is plain KEDA.
type keda struct {
	scaledObject
	KEDA
}

func newKEDA(r *run, k KEDA) (*keda, error) {
	if k.QueueLength < 1 || k.MaxReplicas < max(1, r.world.MinReplicas) {
		return nil, fmt.Errorf("expected a queueLength of 1 or more and a maximum of at least 1 and the minimum, found %d and %d", k.QueueLength, k.MaxReplicas)
	}
	c, err := hpa.New(hpa.Options{MinReplicas: r.world.MinReplicas, MaxReplicas: k.MaxReplicas, TargetMilli: 1000 * k.QueueLength})
	if err != nil {
		return nil, err
	}
	out := &keda{KEDA: k}
	out.scaledObject = scaledObject{r: r, executor: executorFor(r.world, k.MaxReplicas), hpa: c}
	out.metric = func() hpa.Metric { return hpa.Value(float64(out.ask())) }
	out.active = func() (bool, bool) { return out.ask() > 0, false }
	return out, nil
}

// ask is one call of GetQueueAttributes: KEDA's trigger counts messages in flight.
func (k *keda) ask() int {
	k.r.calls.QueueAttributes++
	return k.r.queue.len() + k.r.inFlight
}

func (k *keda) replicas() int                            { return k.r.world.MinReplicas }
func (k *keda) limited() map[policy.Reason]time.Duration { return nil }
