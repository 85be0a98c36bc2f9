package scaler

import (
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"

	"github.com/keda-headroom/headroom/policy"
)

// TestAnOrderToCreateJobsIsGivenOnce: KEDA may poll again before the Jobs that it was
// told to create are seen by anybody.
func TestAnOrderToCreateJobsIsGivenOnce(t *testing.T) {
	b := newBoard()
	address, _, _ := serve(t, ServerOptions{State: b.State})
	client := pb.NewExternalScalerClient(dial(t, address))
	set := shop(invoices, orders) // in order of their names, as a policy has them
	set.Workloads[1].ScaledJob = "any"
	publish := func(at time.Time) {
		b.publishAt(at, set, Decision{Group: policy.Group{Workloads: set.Workloads}, Plan: policy.Plan{At: at, Workloads: []policy.WorkloadPlan{
			{ID: orders, Value: 5, Active: true}, {ID: invoices, Value: 7, Active: true},
		}}})
	}
	hears := func(what string, want int64) {
		t.Helper()
		for id, want := range map[*pb.ScaledObjectRef]int64{ask(orders): want, ask(invoices): 7} {
			answer, err := client.GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: id})
			if err != nil || answer.GetMetricValues()[0].GetMetricValue() != want {
				t.Errorf("%s: KEDA hears %v, %v of %s, want %d", what, answer, err, id.GetScalerMetadata()["workload"], want)
			}
			if active, err := client.IsActive(t.Context(), id); err != nil || !active.GetResult() {
				t.Errorf("%s: active is %v, %v", what, active, err)
			}
		}
	}
	begin := time.Now()
	publish(begin)
	hears("the first time", 5)
	hears("at once", 0)
	publish(begin.Add(policy.JobsSettle - 1))
	hears("by a plan that came too soon", 0)
	publish(time.Now().Add(policy.JobsSettle))
	hears("when all have settled", 5)
	hears("at once again", 0)
}
