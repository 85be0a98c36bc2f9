package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/credentials/insecure"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/memory"
)

// These take away what the other tests need, and therefore run before them, one
// after the other.

// TestReplicasStayWhileHeadroomIsAway takes Headroom away while a queue grows. KEDA
// can't learn which metrics there are then, and applies no fallback (KEDA issue
// 8056): the HPA has no metric, and leaves what there is.
func TestReplicasStayWhileHeadroomIsAway(t *testing.T) {
	s := newSite(t)
	f := s.start(&fleet{name: "orders", spec: fallback(2)})
	asleep := s.start(&fleet{name: "asleep", spec: fallback(2)})
	s.policy("policy", database(othersWindow, f.governed("Target"), asleep.governed("Target")))
	s.deploy(f)
	s.deploy(asleep)
	s.send(f.queue, 40)
	s.runs("orders", 4)
	seen, asleepSeen := s.follow("orders"), s.follow("asleep")

	s.headroom.stop(t)
	s.send(f.queue, 60)
	s.send(asleep.queue, 10)
	s.condition("orders", "HPAActive", "False")
	s.runs("orders", 4)
	if all := seen.all(); len(all) != 1 {
		t.Errorf("replicas were %v, want 4 all the time", all)
	}
	if most := asleepSeen.most(); most > 0 {
		t.Errorf("replicas of who had none were %v", asleepSeen.all())
	}

	s.headroom.start(t)
	s.condition("orders", "HPAActive", "True")
	s.runs("orders", capacity-1)
	s.runs("asleep", 1)
	if most := seen.most(); most > capacity-1 {
		t.Errorf("replicas were %v", seen.all())
	}
}

// TestWhatIsKnownOutlivesHeadroom breaks a policy, lets others come and go, and
// restarts Headroom: it still knows the last good policy and others' high water.
func TestWhatIsKnownOutlivesHeadroom(t *testing.T) {
	s := newSite(t)
	f := s.start(&fleet{name: "orders"})
	s.policy("policy", most(f, 3))
	s.deploy(f)
	s.send(f.queue, 100)
	s.runs("orders", 3)
	seen := s.follow("orders")

	const others, window = 12, 10 * time.Minute
	s.policy("policy", strings.Replace(most(f, 3), "othersWindow: "+othersWindow, "othersWindow: "+window.String(), 1))
	release := s.others(others)
	s.highWater("others' at their most", func(c policy.ConstraintPlan) bool { return c.Others >= others })
	release()
	s.highWater("others gone, and not forgotten", func(c policy.ConstraintPlan) bool {
		return c.Others < others && c.OthersHighWater >= others
	})
	s.policy("policy", strings.Replace(most(f, 5), "messagesPerPod: 10", "messagesPerPod: 0", 1))
	s.valid("policy", 0)
	s.wait("the memory object to know of others", func(ctx context.Context) (bool, error) {
		m, err := s.Client().CoreV1().ConfigMaps(headroomNamespace).Get(ctx, memory.Name(s.id("database")), metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		var record struct{ Others map[string]policy.Peak }
		if err := json.Unmarshal([]byte(m.Data["memory.json"]), &record); err != nil {
			return false, err
		}
		highest, _ := record.Others["server"].Max(time.Now(), window)
		return highest >= others && m.Data["plan"] != "" && m.Labels[memory.Label] == "true", fmt.Errorf("it says %v", m.Data)
	})

	s.headroom.stop(t)
	s.headroom.start(t)
	s.highWater("what it was before the restart", func(c policy.ConstraintPlan) bool {
		return c.Others < others && c.OthersHighWater >= others
	})
	s.valid("policy", 0)
	s.planned("orders", "as by the last good policy", func(p policy.WorkloadPlan) bool { return p.Target == 3 && p.Demand.Backlog == 10 })
	s.answers(s.client(insecure.NewCredentials()), "orders", 3)
	if all := seen.all(); len(all) != 1 {
		t.Errorf("replicas were %v, want 3 all the time", all)
	}
}

// highWater waits until the account of the site's server is as it should be.
func (s *site) highWater(what string, is func(policy.ConstraintPlan) bool) {
	s.t.Helper()
	s.wait(what, func(ctx context.Context) (bool, error) {
		d, err := s.databasePlan(ctx, "database")
		if err != nil {
			return false, err
		}
		for _, c := range d.Constraints {
			if c.Name == "server" {
				return is(c), fmt.Errorf("others %d, their high water %d", c.Others, c.OthersHighWater)
			}
		}
		return false, fmt.Errorf("the server is unknown: %s", d.Unknown)
	})
}

// TestHeadroomAnswersWhileTheAPIServerIsAway kills the API server while a queue
// grows: KEDA is answered all the time, nobody is told more than the database
// carries, and afterwards everything goes on.
func TestHeadroomAnswersWhileTheAPIServerIsAway(t *testing.T) {
	s := newSite(t)
	f := s.start(&fleet{name: "orders"})
	s.policy("policy", database(othersWindow, f.governed("Target")))
	s.deploy(f)
	s.send(f.queue, 20)
	s.runs("orders", 2)
	seen := s.follow("orders")
	client := s.client(insecure.NewCredentials())
	s.answers(client, "orders", 2)

	server := s.Component("kube-apiserver")
	t.Cleanup(func() { // started already, unless the test failed
		if err := server.Start(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	server.Kill()
	const away = 10 * time.Second
	s.send(f.queue, 180)
	begin, answered := time.Now(), 0
	s.wait("the end of the outage", func(ctx context.Context) (bool, error) {
		target, err := s.ask(ctx, client, "orders")
		switch {
		case err != nil:
			t.Errorf("%s after the API server: %v", time.Since(begin), err)
		case target < 2 || target > capacity:
			t.Errorf("%s after the API server: KEDA is told %v, want 2 to %d", time.Since(begin), target, capacity)
		default:
			answered++
		}
		return time.Since(begin) > away || t.Failed(), nil
	})
	if answered < 5 {
		t.Errorf("KEDA was answered %d times in %s", answered, away)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.world.settled(begin)
	s.runs("orders", capacity)
	if most := seen.most(); most > capacity {
		t.Errorf("replicas were %v: want never more than %d", seen.all(), capacity)
	}
	s.purge(f.queue)
	s.runs("orders", 0)
	if n := s.refused(s.namespace); n > 0 {
		t.Errorf("workers were refused %d connections", n)
	}
}
