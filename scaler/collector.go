package scaler

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// PlanCollector renders the current plans at each scrape. What is unknown has no
// series: a gap shows in a graph, a last value would not.
type PlanCollector struct {
	state func() *State
	times func() []ReadingTime
}

// NewPlanCollector returns a collector of what state and times return:
// [Planner.State] and [Sources.ReadingTimes].
func NewPlanCollector(state func() *State, times func() []ReadingTime) *PlanCollector {
	return &PlanCollector{state: state, times: times}
}

// Labels of databases and of workloads.
var (
	databaseLabels   = []string{"database_namespace", "database"}
	constraintLabels = append(slices.Clone(databaseLabels), "constraint")
	workloadLabels   = []string{"namespace", "workload"}
)

func describe(name, help string, labels ...[]string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, slices.Concat(labels...), nil)
}

// constraintGauges are the numbers of a constraint's account.
var constraintGauges = []struct {
	*prometheus.Desc
	of func(policy.ConstraintPlan) int
}{
	{
		describe("headroom_database_connections_limit", "Connections that the constraint allows, the server's own reserved slots taken off.", constraintLabels),
		func(c policy.ConstraintPlan) int { return c.Limit },
	},
	{
		describe("headroom_database_connections_usable", "Connections that may be in use by policy: limit less reserve.", constraintLabels),
		func(c policy.ConstraintPlan) int { return c.Limit - c.Reserve },
	},
	{
		describe("headroom_database_connections_reserved", "Connections that the policy always leaves free.", constraintLabels),
		func(c policy.ConstraintPlan) int { return c.Reserve },
	},
	{
		describe("headroom_database_connections_used", "Connections that are visible.", constraintLabels),
		func(c policy.ConstraintPlan) int { return c.Used },
	},
	{
		describe("headroom_database_connections_others", "Connections of identities that are not governed.", constraintLabels),
		func(c policy.ConstraintPlan) int { return c.Others },
	},
	{
		describe("headroom_database_connections_others_high_water", "The most that others held within the policy's window.", constraintLabels),
		func(c policy.ConstraintPlan) int { return c.OthersHighWater },
	},
	{
		describe("headroom_database_connections_ghosts", "Connections of governed identities that belong to no living pod.", constraintLabels),
		func(c policy.ConstraintPlan) int { return c.Ghosts },
	},
	{
		describe("headroom_database_connections_granted", "Connections that living pods may hold.", constraintLabels),
		func(c policy.ConstraintPlan) int { return c.Granted },
	},
	{
		describe("headroom_database_connections_pressure", "Connections kept free beside the reserve, while the limit is so full that it hides how many are turned away.", constraintLabels),
		func(c policy.ConstraintPlan) int { return c.Pressure },
	},
	{
		describe("headroom_database_connections_budget", "Connections for governed pods: limit less reserve, others' high water, ghosts and pressure. Negative where more is held than fits.", constraintLabels),
		func(c policy.ConstraintPlan) int { return c.Budget },
	},
	{
		describe("headroom_database_connections_free", "Budget less what is granted or not yet seen to be released. Negative where more is held than fits.", constraintLabels),
		func(c policy.ConstraintPlan) int { return c.Free },
	},
}

var (
	demandReplicas = describe("headroom_workload_demand_replicas",
		"Replicas that the queue asks for, before any bound.", workloadLabels, []string{"source"})
	ceilingReplicas = describe("headroom_workload_ceiling_replicas",
		"Replicas that the budget carries after the other workloads' grants and shares.", workloadLabels)
	targetReplicas = describe("headroom_workload_target_replicas",
		"Replicas that there should be.", workloadLabels)
	currentReplicas = describe("headroom_workload_current_replicas",
		"Replicas that the workload is set to (spec.replicas).", workloadLabels)
	gatedPods = describe("headroom_workload_gated_pods",
		"Pods that wait at the scheduling gate.", workloadLabels)
	oldestGated = describe("headroom_workload_oldest_gated_pod_timestamp_seconds",
		"When the oldest of the pods that wait at the scheduling gate was created, in seconds since 1970.", workloadLabels)
	grantedConnections = describe("headroom_workload_granted_connections",
		"Connections that the workload's living pods may hold.", workloadLabels, databaseLabels)
	declaredPerPod = describe("headroom_workload_declared_connections_per_pod",
		"Connections that one pod opens at most, by the policy.", workloadLabels, databaseLabels)
	observedPerPod = describe("headroom_workload_observed_connections_per_pod",
		"Connections that the workload's pods are seen to hold.", workloadLabels, databaseLabels, []string{"stat"})
	messages = describe("headroom_workload_messages",
		"Messages in the workload's queue.", workloadLabels, []string{"state"})
	objectiveAge = describe("headroom_workload_objective_seconds",
		"How old a message may become before its work is done, by the policy.", workloadLabels)
	oldestAge = describe("headroom_workload_oldest_message_age_seconds",
		"How old the oldest message is, estimated between the points of CloudWatch.", workloadLabels)
	oldestAgeUncertainty = describe("headroom_workload_oldest_message_age_uncertainty_seconds",
		"By how much the estimated age may be wrong, 19 times out of 20.", workloadLabels)
	arrivalRate = describe("headroom_workload_arrivals_per_second",
		"Messages that come, estimated between the points of CloudWatch.", workloadLabels)
	processingRate = describe("headroom_workload_messages_per_second_per_pod",
		"Messages that one pod finishes while it has work.", workloadLabels)
	shortfall = describe("headroom_workload_objective_shortfall_connections",
		"Connections that are missing for as many replicas as the objective needs; 0 while it can be kept.", workloadLabels)
	newestPoint = describe("headroom_workload_newest_point_timestamp_seconds",
		"When the newest minute that CloudWatch has published of the workload's queue began, in seconds since 1970.", workloadLabels)
	limited = describe("headroom_workload_limited",
		"1 for the reason that keeps the target from following demand.", workloadLabels, []string{"reason"})
	workloadInfo = describe("headroom_workload_info",
		"A governed workload; always 1.", workloadLabels, []string{"mode"})
	readingTimestamp = describe("headroom_reading_timestamp_seconds",
		"When the last good reading of a source began, in seconds since 1970.", []string{"source", "name"})
)

// Describe implements [prometheus.Collector].
func (c *PlanCollector) Describe(out chan<- *prometheus.Desc) {
	for _, g := range constraintGauges {
		out <- g.Desc
	}
	for _, d := range []*prometheus.Desc{
		demandReplicas, ceilingReplicas, targetReplicas, currentReplicas, gatedPods, oldestGated, grantedConnections,
		declaredPerPod, observedPerPod, messages, objectiveAge, oldestAge, oldestAgeUncertainty, arrivalRate, processingRate, shortfall, newestPoint, limited, workloadInfo, readingTimestamp,
	} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *PlanCollector) Collect(out chan<- prometheus.Metric) {
	state := c.state()
	for i := range state.Decisions {
		collectDecision(out, &state.Decisions[i])
	}
	for _, t := range c.times() {
		if !t.Began.IsZero() {
			gauge(out, readingTimestamp, float64(t.Began.UnixNano())/1e9, t.Source, t.Name)
		}
	}
}

func gauge(out chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func collectDecision(out chan<- prometheus.Metric, d *Decision) {
	for _, database := range d.Plan.Databases {
		if database.Unknown != "" {
			continue
		}
		for _, c := range database.Constraints {
			for _, g := range constraintGauges {
				gauge(out, g.Desc, float64(g.of(c)), database.ID.Namespace, database.ID.Name, c.Name)
			}
		}
	}
	for i := range d.Plan.Workloads {
		collectWorkload(out, d, &d.Plan.Workloads[i])
	}
}

func collectWorkload(out chan<- prometheus.Metric, d *Decision, w *policy.WorkloadPlan) {
	namespace, name := w.ID.Namespace, w.ID.Name
	gauge(out, workloadInfo, 1, namespace, name, string(w.Mode))
	gauge(out, targetReplicas, float64(w.Target), namespace, name)
	gauge(out, ceilingReplicas, float64(w.Ceiling), namespace, name)
	collectDemand(out, d, w)
	if !because(w, policy.ReplicasUnknown) {
		gauge(out, currentReplicas, float64(w.Replicas), namespace, name)
		gauge(out, gatedPods, float64(w.Gated), namespace, name)
		if _, since := Waiting(d, w.ID); !since.IsZero() {
			gauge(out, oldestGated, float64(since.UnixNano())/1e9, namespace, name)
		}
	}
	if Limits(w.Reason) {
		gauge(out, limited, 1, namespace, name, string(w.Reason))
	}
	for _, u := range w.Uses {
		database := []string{namespace, name, u.Database.Namespace, u.Database.Name}
		gauge(out, grantedConnections, float64(u.Granted), database...)
		gauge(out, declaredPerPod, float64(u.Declared), database...)
		if !u.ObservedKnown || w.Holding == 0 {
			continue
		}
		gauge(out, observedPerPod, float64(u.Observed)/float64(w.Holding), append(database, "mean")...)
		if u.ObservedMax > 0 {
			gauge(out, observedPerPod, float64(u.ObservedMax), append(database, "max")...)
		}
	}
	if q, ok := freshQueue(d, w.ID); ok {
		gauge(out, messages, float64(q.Visible), namespace, name, "visible")
		gauge(out, messages, float64(q.InFlight), namespace, name, "in_flight")
		gauge(out, messages, float64(q.Delayed), namespace, name, "delayed")
	}
	if points, ok := d.Snapshot.Points[w.ID].Last(); ok && len(points.Minutes) > 0 {
		newest := points.Minutes[len(points.Minutes)-1].Start
		gauge(out, newestPoint, float64(newest.Unix()), namespace, name)
	}
}

// collectDemand renders what the queue asks for, and what is known of its objective.
func collectDemand(out chan<- prometheus.Metric, d *Decision, w *policy.WorkloadPlan) {
	namespace, name := w.ID.Namespace, w.ID.Name
	if of, ok := d.Group.Workload(w.ID); ok && of.SQS != nil && of.SQS.MaxMessageAge > 0 {
		gauge(out, objectiveAge, of.SQS.MaxMessageAge.Seconds(), namespace, name)
	}
	if !w.Demand.Known {
		return
	}
	o := w.Demand.Objective
	if o == nil {
		gauge(out, demandReplicas, float64(w.Demand.Backlog), namespace, name, "backlog")
		return
	}
	gauge(out, demandReplicas, float64(o.ByMessages), namespace, name, "backlog")
	gauge(out, arrivalRate, o.Arrivals, namespace, name)
	if o.Age.Known {
		gauge(out, oldestAge, o.Age.Seconds, namespace, name)
		gauge(out, oldestAgeUncertainty, o.Age.Uncertainty, namespace, name)
	}
	if o.Fallback == "" {
		gauge(out, demandReplicas, float64(o.Replicas), namespace, name, "objective")
		gauge(out, processingRate, o.Rate, namespace, name)
		gauge(out, shortfall, float64(o.ShortConnections), namespace, name)
	}
}

// Waiting returns how many of a workload's pods wait at the scheduling gate, and
// when the oldest of them was created, the zero time where none waits.
func Waiting(d *Decision, id metrics.ID) (pods int, since time.Time) {
	fleet, _ := d.Snapshot.Fleets[id].Last()
	for _, p := range fleet.Pods {
		if !p.Gated || p.Terminating || p.Finished {
			continue
		}
		if pods++; since.IsZero() || p.CreatedAt.Before(since) {
			since = p.CreatedAt
		}
	}
	return pods, since
}

// Limits reports whether a reason keeps a target from following demand. A minimum
// or an earlier demand that is still followed only hold it up.
func Limits(r policy.Reason) bool {
	return r != policy.Demand && r != policy.MinReplicas && r != policy.ScaleDownStabilization
}

// because reports whether a reason had a part in the plan of w.
func because(w *policy.WorkloadPlan, r policy.Reason) bool {
	return w.Reason == r || slices.ContainsFunc(w.Steps, func(s policy.Step) bool { return s.Reason == r })
}

// freshQueue returns the reading of a workload's queue as far as the plan could
// use it.
func freshQueue(d *Decision, id metrics.ID) (metrics.Queue, bool) {
	w, ok := d.Group.Workload(id)
	if !ok || w.SQS == nil {
		return metrics.Queue{}, false
	}
	return d.Snapshot.Queues[id].At(d.Plan.At, w.SQS.StaleAfter)
}
