package acceptance

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/internal/fakeaws"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/memory"
)

// TestAnObjectiveOfThreeMinutes: CloudWatch, a minute late, tells Headroom what a pod
// gets done. From then on messages are done within three minutes, by as few pods as that
// takes and not by all that the database carries. Where it carries too few, that is said
// while there is time.
func TestAnObjectiveOfThreeMinutes(t *testing.T) {
	t.Parallel()
	const objective = 3 * time.Minute
	s := newSite(t)
	f := s.start(&fleet{name: "orders", works: true, work: 2 * time.Second, messagesPerPod: 20})
	s.publishesLate("orders", time.Minute)
	aimed := strings.Replace(f.governed("Target"), "messagesPerPod: 20", "messagesPerPod: 20, maxMessageAge: 3m, concurrency: 5", 1)
	s.policy("policy", database(othersWindow, aimed))
	s.deploy(f)
	seen, held, ages := s.follow("orders"), s.watch(), s.ages("orders")
	s.planned("orders", "nothing to do", func(p policy.WorkloadPlan) bool { return p.Reason == policy.Demand && p.Target == 0 })

	// A message comes each second. Messages per pod decide until it is known what a pod
	// gets done: 5 messages at once, each in 2 seconds.
	stop := s.trickle(f.queue, time.Second)
	s.planned("orders", "messages per pod decide", func(p policy.WorkloadPlan) bool {
		o := p.Demand.Objective
		return o != nil && strings.Contains(o.Fallback, "not measured yet") && p.Demand.Backlog == o.ByMessages && p.Target >= 1
	})
	p := s.planned("orders", "the objective decides", func(p policy.WorkloadPlan) bool {
		o := p.Demand.Objective
		return o != nil && o.Fallback == "" && o.Age.Known && o.Age.DataKnown && p.Demand.Backlog == o.Replicas && p.Target >= 1
	})
	if rate := p.Demand.Objective.Rate; rate > 3.5 || rate < 0.5 {
		t.Errorf("a pod does 2.5 messages in a second at most, and is taken to do %v", rate)
	}
	if calls := s.aws.CallsBy("headroom")["GetMetricData"]; calls == 0 {
		t.Error("the objective is followed, and CloudWatch was not asked")
	}
	s.remembers("database", `"service":`)

	// 700 messages at once are work for 35 pods by messages per pod, and for 3 or 4 in
	// three minutes.
	const burst = 700
	s.send(f.queue, burst)
	p = s.planned("orders", "as many as the objective takes", func(p policy.WorkloadPlan) bool {
		o := p.Demand.Objective
		return o != nil && o.Fallback == "" && o.ByMessages >= 30 && p.Target >= 2
	})
	if o := p.Demand.Objective; p.Target >= capacity || p.Target != o.Replicas || p.Reason != policy.Demand || o.ShortReplicas != 0 {
		t.Errorf("the target is %d (%s: %s), of the objective %+v", p.Target, p.Reason, p.Sentence, o)
	}
	s.wait("the burst to be done", func(context.Context) (bool, error) {
		left := s.truth("orders")
		return left.Deleted >= burst && left.Visible+left.InFlight <= 10, fmt.Errorf("%d are left, replicas were %v", left.Visible+left.InFlight, seen.all())
	})
	most := ages.most()
	if most > objective {
		t.Errorf("a message became %s old, with an objective of %s; replicas were %v", most, objective, seen.all())
	}
	t.Logf("no message became older than %s; replicas were %v", most.Round(time.Second), seen.all())
	if events, err := s.events(t.Context()); err != nil || strings.Contains(strings.Join(events, "\n"), "ObjectiveUnreachable") {
		t.Errorf("every message was in time, and there are %q, %v", events, err)
	}

	// 4000 are more than 6 pods do in three minutes, and the database carries no more.
	s.send(f.queue, 4000)
	p = s.planned("orders", "an objective that can't be kept", func(p policy.WorkloadPlan) bool {
		o := p.Demand.Objective
		return o != nil && o.ShortReplicas > 0 && p.Target == capacity
	})
	o, last := p.Demand.Objective, p.Steps[len(p.Steps)-1]
	if p.Reason != policy.ConnectionBudget || last.Reason != policy.ObjectiveUnreachable || o.Least != capacity+o.ShortReplicas || o.ShortConnections != perPod*o.ShortReplicas {
		t.Errorf("limited by %s, the last step %+v, of the objective %+v", p.Reason, last, o)
	}
	if note := s.told("ScaledObject/orders", "ObjectiveUnreachable"); !strings.Contains(note, "messages will be older than 3m") || !strings.Contains(note, "connections") {
		t.Errorf("the event says %q", note)
	}
	workload := map[string]string{"namespace": s.namespace, "workload": "orders"}
	s.measures("headroom_workload_objective_shortfall_connections", workload, func(v float64) bool { return v >= perPod })
	s.measures("headroom_workload_objective_seconds", workload, func(v float64) bool { return v == objective.Seconds() })
	s.measures("headroom_workload_limited", map[string]string{"namespace": s.namespace, "workload": "orders", "reason": "ConnectionBudget"}, func(v float64) bool { return v == 1 })
	s.runs("orders", capacity)

	stop()
	s.purge(f.queue)
	s.planned("orders", "nothing to do again", func(p policy.WorkloadPlan) bool { return p.Demand.Known && p.Target == 0 })
	s.measures("headroom_workload_objective_shortfall_connections", workload, func(v float64) bool { return v == 0 })
	s.runs("orders", 0)

	if got := seen.most(); got != capacity {
		t.Errorf("replicas were %v: want them to reach %d and never more", seen.all(), capacity)
	}
	if h := held.most(); h.workers > capacity*perPod || h.used >= h.usable {
		t.Errorf("workers held up to %d connections, where %d are for them; all together up to %d of %d", h.workers, capacity*perPod, h.used, h.usable)
	}
	if n := s.refused(s.namespace); n > 0 {
		t.Errorf("workers were refused %d connections", n)
	}
}

// remembers waits until what Headroom keeps of the queues on a database has a part.
func (s *site) remembers(database, part string) {
	s.t.Helper()
	name := memory.Name(s.id(database))
	s.wait("what was learned to be kept in ConfigMap "+name, func(ctx context.Context) (bool, error) {
		kept, err := s.Client().CoreV1().ConfigMaps(headroomNamespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		return strings.Contains(kept.Data["queues.json"], part), fmt.Errorf("it says %v", kept.Data)
	})
}

// publishesLate has CloudWatch publish what it knows of a queue this long after each
// minute. For others it goes on to publish at once.
func (s *site) publishesLate(queue string, late time.Duration) {
	name := s.queueName(queue)
	s.aws.SetPublishing(func(m fakeaws.Metric, _ time.Time) (time.Duration, bool) {
		if m.Value == name {
			return late, true
		}
		return 0, true
	})
}

// trickle sends a message each period until it is stopped, or the test ends.
func (s *site) trickle(url string, period time.Duration) (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		ticker := time.NewTicker(period)
		defer ticker.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if err := s.sendOne(ctx, url, fmt.Sprintf("%s#trickle-%d", url, n)); err != nil && ctx.Err() == nil {
				s.t.Errorf("send: %v", err)
				return
			}
		}
	})
	stop = func() { cancel(); ended.Wait() }
	s.t.Cleanup(stop)
	return stop
}

// oldest is how old any message of a queue has become.
type oldest struct {
	mu  sync.Mutex
	age time.Duration
}

// agePeriod is how often ages are looked at: by so much one may be older than was seen.
const agePeriod = 50 * time.Millisecond

// ages watches how old messages of a queue become until the test ends.
func (s *site) ages(queue string) *oldest {
	o := &oldest{}
	name := s.queueName(queue)
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		ticker := time.NewTicker(agePeriod)
		defer ticker.Stop()
		for ctx.Err() == nil {
			if truth, ok := s.aws.Truth(name); ok {
				o.mu.Lock()
				o.age = max(o.age, truth.OldestAge)
				o.mu.Unlock()
			}
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	})
	s.t.Cleanup(func() { cancel(); ended.Wait() })
	return o
}

// most is how old a message has become at most.
func (o *oldest) most() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.age + agePeriod
}

// measures waits until a metric of Headroom's is as it should be.
func (s *site) measures(name string, labels map[string]string, is func(float64) bool) {
	s.t.Helper()
	s.wait("the metric "+name, func(ctx context.Context) (bool, error) {
		v, ok, err := s.headroom.metric(ctx, name, labels)
		if err != nil {
			return false, err
		}
		return ok && is(v), fmt.Errorf("it is there: %v, with a value of %v", ok, v)
	})
}
