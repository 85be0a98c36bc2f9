package acceptance

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/policy"
)

// TestFromZeroToTheCeilingAndBackToZero drains a queue that asks for far more
// workers than the database carries, by each kind of trigger.
func TestFromZeroToTheCeilingAndBackToZero(t *testing.T) {
	t.Parallel()
	for _, trigger := range []string{"external-push", "external"} {
		t.Run(trigger, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			f := s.start(&fleet{name: "orders", trigger: trigger, works: true, work: 500 * time.Millisecond, messagesPerPod: 20})
			s.policy("policy", database(othersWindow, f.governed("Target")))
			s.deploy(f)
			seen := s.follow("orders")
			s.planned("orders", "nothing to do", func(p policy.WorkloadPlan) bool { return p.Reason == policy.Demand && p.Target == 0 })

			const messages = 400
			s.send(f.queue, messages)
			s.planned("orders", "limited by the database", func(p policy.WorkloadPlan) bool {
				return p.Reason == policy.ConnectionBudget && p.Demand.Backlog > capacity && p.Target == capacity && p.Ceiling == capacity
			})
			s.wait("the queue to be empty", func(context.Context) (bool, error) {
				left := s.truth("orders")
				return left.Visible+left.InFlight == 0, fmt.Errorf("%d of %d messages are left, replicas were %v", left.Visible+left.InFlight, messages, seen.all())
			})
			s.runs("orders", 0)

			if got := s.handled(); got != messages {
				t.Errorf("workers handled %d of %d messages", got, messages)
			}
			if most := seen.most(); most != capacity {
				t.Errorf("replicas were %v: want them to reach %d and never more", seen.all(), capacity)
			}
			if n := s.refused(s.namespace); n > 0 {
				t.Errorf("workers were refused %d connections", n)
			}
		})
	}
}

// TestNobodyLeavesZeroForACeilingOfZero fills the database from elsewhere, and lets
// it go again.
func TestNobodyLeavesZeroForACeilingOfZero(t *testing.T) {
	t.Parallel()
	for _, trigger := range []string{"external-push", "external"} {
		t.Run(trigger, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			f := s.start(&fleet{name: "orders", trigger: trigger, works: true, work: 100 * time.Millisecond})
			s.policy("policy", database(othersWindow, f.governed("Target")))
			release := s.others(30)
			s.deploy(f)
			seen := s.follow("orders")
			s.planned("orders", "a ceiling of 0", func(p policy.WorkloadPlan) bool { return p.Ceiling == 0 && p.Reason == policy.Demand })

			s.send(f.queue, 50)
			s.planned("orders", "wanted, and not allowed", func(p policy.WorkloadPlan) bool {
				return p.Demand.Backlog >= 5 && p.Target == 0 && !p.Active && p.Reason == policy.ConnectionBudget
			})
			// It takes 5 s of this to be told, in which KEDA has asked several times.
			s.told("ScaledObject/orders", "TargetLimited")
			if most := seen.most(); most > 0 {
				t.Errorf("replicas were %v with a ceiling of 0", seen.all())
			}

			release()
			s.wait("the queue to be empty", func(context.Context) (bool, error) {
				left := s.truth("orders")
				return left.Visible+left.InFlight == 0, nil
			})
			s.told("ScaledObject/orders", "TargetRecovered")
			s.runs("orders", 0)
			if n := s.refused(s.namespace); n > 0 {
				t.Errorf("workers were refused %d connections", n)
			}
		})
	}
}
