package scaler

import (
	"encoding/json"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"context"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// start runs a planner in a synctest bubble until the test ends.
func start(t *testing.T, options PlannerOptions) *Planner {
	p := NewPlanner(options)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	synctest.Wait()
	return p
}

func TestThePlanFollowsTheReadings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		p := start(t, PlannerOptions{Readings: w})
		if s := p.State(); s.Planned() {
			t.Fatalf("a planner without a policy has planned: %+v", s)
		}

		// The policy is there, but nothing was read yet: KEDA hears that.
		p.SetPolicy(shop(orders))
		synctest.Wait()
		time.Sleep(DefaultPlanGap)
		synctest.Wait()
		s := p.State()
		plan, ok := s.Workload(orders)
		if !s.Planned() || !ok || plan.Failure == "" {
			t.Fatalf("got %+v (known %v), want a plan that says that nothing was read", plan, ok)
		}

		// Readings come, and others have been watched for their window of 1 s:
		// 80 messages ask for 4 pods, and 30 connections carry them.
		for range 5 {
			w.set(80, orders)
			time.Sleep(500 * time.Millisecond)
			synctest.Wait()
		}
		if plan, _ := p.State().Workload(orders); plan.Target != 4 || plan.Value != 4 || !plan.Active {
			t.Errorf("got %+v, want a target of 4", plan)
		}
		// 200 ask for 10, and 30 connections carry 6.
		w.set(200, orders)
		time.Sleep(DefaultPlanGap)
		synctest.Wait()
		if plan, _ := p.State().Workload(orders); plan.Target != 6 || plan.Reason != policy.ConnectionBudget {
			t.Errorf("got %+v, want a target of 6 for the budget", plan)
		}
	})
}

func TestPlansAreNeitherRareNorRash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		plans := 0
		p := start(t, PlannerOptions{Readings: w, Planned: func(time.Duration) { plans++ }})
		p.SetPolicy(shop(orders))
		time.Sleep(10*time.Second + DefaultPlanGap)
		synctest.Wait()
		if plans < 10 || plans > 12 {
			t.Errorf("%d plans in 10 s in which nothing happened, want one a second", plans)
		}

		plans = 0
		for range 1000 { // a thousand changes in a second
			w.changed.Notify()
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if most := int(time.Second / DefaultPlanGap); plans > most+1 || plans < most/2 {
			t.Errorf("%d plans for a thousand changes within a second, want them planned together, about %d", plans, most)
		}

		// What changes while nothing happened before is planned at once.
		time.Sleep(DefaultPlanGap)
		synctest.Wait()
		plans = 0
		w.changed.Notify()
		synctest.Wait()
		if plans != 1 {
			t.Errorf("%d plans at the instant of a change, want 1", plans)
		}
	})
}

func TestAPolicyIsReplacedAsAWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var ledgers []policy.Ledger
		p := start(t, PlannerOptions{Readings: w, Decide: func(now time.Time, g policy.Group, s policy.Snapshot, l policy.Ledger) (policy.Plan, policy.Ledger) {
			ledgers = append(ledgers, l)
			return policy.Decide(now, g, s, l)
		}})
		replace := func(set policy.Set) *State {
			p.SetPolicy(set)
			time.Sleep(DefaultPlanGap)
			synctest.Wait()
			return p.State()
		}
		w.set(20, orders, invoices)
		before := replace(shop(invoices, orders))
		after := replace(shop(orders))

		if _, ok := before.Workload(invoices); !ok {
			t.Error("the state of the first policy has lost a workload")
		}
		if _, ok := after.Workload(invoices); ok {
			t.Error("a workload that no policy names is still there")
		}
		if _, ok := after.Workload(orders); !ok || len(after.Set.Workloads) != 1 {
			t.Error("the workload that stayed is gone")
		}
		select {
		case <-before.Next():
		default:
			t.Error("who follows the first state does not hear of the second")
		}
		last := ledgers[len(ledgers)-1]
		if _, ok := last.Workloads[orders]; !ok || len(last.Workloads) != 1 {
			t.Errorf("remembered are %d workloads, want the one that stayed", len(last.Workloads))
		}
		// What comes back starts anew: nobody watched it meanwhile.
		replace(policy.Set{})
		ledgers = nil
		replace(shop(orders))
		if len(ledgers[0].Databases) > 0 || len(ledgers[0].Workloads) > 0 {
			t.Errorf("remembered across a gap: %+v", ledgers[0])
		}
		if len(w.used) != 4 {
			t.Errorf("sources were set up %d times for 4 policies", len(w.used))
		}
	})
}

// journal is a recorder that keeps everything.
type journal []Decision

func (j *journal) Record(_ time.Time, g policy.Group, s policy.Snapshot, l policy.Ledger, p policy.Plan) {
	*j = append(*j, Decision{Group: g, Snapshot: s, Ledger: l, Plan: p})
}

func TestARecordedDecisionCanBeMadeAgain(t *testing.T) {
	var j journal
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		p := start(t, PlannerOptions{Readings: w, Recorder: &j})
		p.SetPolicy(shop(invoices, orders))
		for i := range 5 {
			w.set(int64(40*i), orders, invoices)
			time.Sleep(700 * time.Millisecond)
		}
	})
	if len(j) < 5 {
		t.Fatalf("%d decisions were recorded, want all", len(j))
	}
	for i, r := range j {
		again, _ := policy.Decide(r.Plan.At, r.Group, r.Snapshot, r.Ledger)
		if got, want := text(t, again), text(t, r.Plan); got != want {
			t.Fatalf("decision %d made again:\n got %s\nwant %s", i, got, want)
		}
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestGroupsAreDecidedApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := shop(orders)
		other := shop(metrics.ID{Namespace: "shop", Name: "mail-workers"})
		other.Databases[0].ID.Name = "mail-db"
		other.Workloads[0].Databases[0].Database.Name = "mail-db"
		set.Databases = append(other.Databases, set.Databases...)
		set.Workloads = append(other.Workloads, set.Workloads...)
		p := start(t, PlannerOptions{Readings: newWorld()})
		p.SetPolicy(set)
		time.Sleep(DefaultPlanGap)
		synctest.Wait()
		var groups []string
		for _, d := range p.State().Decisions {
			groups = append(groups, d.Plan.Group)
		}
		if want := []string{"platform/mail-db", "platform/orders-db"}; !reflect.DeepEqual(groups, want) {
			t.Errorf("got groups %v, want %v", groups, want)
		}
	})
}
