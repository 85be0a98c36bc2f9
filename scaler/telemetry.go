package scaler

import (
	"slices"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keda-headroom/headroom/internal/buildinfo"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// Telemetry counts what happens, for Prometheus. What was decided is not counted
// here: [PlanCollector] reads it off the current plans. Its methods may be called
// at any time from anywhere. docs/metrics.md describes every metric.
type Telemetry struct {
	// GRPC counts calls; it goes into [ServerOptions].
	GRPC *grpcprom.ServerMetrics

	reads         *prometheus.CounterVec
	readDuration  *prometheus.HistogramVec
	planDuration  prometheus.Histogram
	refusals      *prometheus.CounterVec
	awsRequests   *prometheus.CounterVec
	pokes         *prometheus.CounterVec
	policyReloads *prometheus.CounterVec
	policies      policyCollector
	podRequests   *prometheus.CounterVec
	admissions    *prometheus.CounterVec
	admissionWait *prometheus.HistogramVec
	evictions     *prometheus.CounterVec
	leader        prometheus.Gauge
	ungoverned    *prometheus.GaugeVec
	ungovernedIn  map[string]int // as it was noted last
}

// Values of the label result.
const (
	resultOK    = "ok"
	resultError = "error"
)

func result(err error) string {
	if err != nil {
		return resultError
	}
	return resultOK
}

// NewTelemetry returns telemetry whose metrics are registered with registerer. It
// panics where one of their names is taken already, as two of these would.
func NewTelemetry(registerer prometheus.Registerer, build buildinfo.Info) *Telemetry {
	t := &Telemetry{
		GRPC: grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram(
			grpcprom.WithHistogramBuckets([]float64{0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5}))),
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headroom_reads_total",
			Help: "Attempts to read a source.",
		}, []string{"source", "result"}),
		readDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "headroom_read_duration_seconds",
			Help:    "How long attempts to read a source took.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		}, []string{"source"}),
		planDuration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "headroom_plan_duration_seconds",
			Help:    "How long it took to decide for all groups.",
			Buckets: []float64{0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5},
		}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headroom_database_refusals_total",
			Help: "Readings in which the database refused Headroom's own login because no connection was free (SQLSTATE 53300).",
		}, []string{"database_namespace", "database"}),
		awsRequests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headroom_aws_requests_total",
			Help: "Requests to AWS, retries included, by how they ended.",
		}, []string{"service", "operation", "result"}),
		pokes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headroom_queue_pokes_total",
			Help: "Requests to read a queue now, by what came of them.",
		}, []string{"result"}),
		policyReloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headroom_policy_reloads_total",
			Help: "Changes of policies that were read, by whether they took effect.",
		}, []string{"result"}),
		podRequests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headroom_pod_requests_total",
			Help: "Attempts to write to a pod or to take one away, by how they ended.",
		}, []string{"action", "result"}),
		admissions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headroom_admissions_total",
			Help: "Pods that were let through the scheduling gate.",
		}, workloadLabels),
		admissionWait: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "headroom_admission_wait_seconds",
			Help:    "From a pod's creation until it was let through the scheduling gate.",
			Buckets: []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600},
		}, workloadLabels),
		evictions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headroom_evictions_total",
			Help: "Attempts to take a pod away, by why and how they ended.",
		}, append(slices.Clone(workloadLabels), "reason", "result")),
		leader: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "headroom_leader",
			Help: "Whether this process leads: decides, and acts on pods.",
		}),
		ungoverned: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "headroom_ungoverned_gated_pods",
			Help: "Pods that wait at the scheduling gate and that no policy governs: nobody lets them through.",
		}, []string{"namespace"}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "headroom_build_info",
		Help: "The running build; always 1.",
		ConstLabels: prometheus.Labels{
			"version": build.Version, "revision": build.Revision, "goversion": build.Go,
		},
	})
	info.Set(1)
	for _, r := range []string{resultOK, resultError} {
		t.policyReloads.WithLabelValues(r) // a rate needs the zero before the first
	}
	registerer.MustRegister(t.GRPC, t.reads, t.readDuration, t.planDuration, t.refusals, t.awsRequests, t.pokes,
		t.policyReloads, &t.policies, t.podRequests, t.admissions, t.admissionWait, t.evictions, t.leader, t.ungoverned, info)
	return t
}

// Read notes one attempt to read a source; it goes into [SourcesOptions].
func (t *Telemetry) Read(source, _ string, _ time.Time, duration time.Duration, err error) {
	t.reads.WithLabelValues(source, result(err)).Inc()
	t.readDuration.WithLabelValues(source).Observe(duration.Seconds())
}

// Planned notes how long a plan took; it goes into [PlannerOptions].
func (t *Telemetry) Planned(duration time.Duration) { t.planDuration.Observe(duration.Seconds()) }

// Refused notes that a database refused our own login; it goes into
// [SourcesOptions].
func (t *Telemetry) Refused(database metrics.ID) {
	t.refusals.WithLabelValues(database.Namespace, database.Name).Inc()
}

// AWSRequest notes one request to AWS and in one word how it ended.
func (t *Telemetry) AWSRequest(service, operation, result string) {
	t.awsRequests.WithLabelValues(service, operation, result).Inc()
}

// Poked notes one request to read a queue now, and in one word what came of it.
func (t *Telemetry) Poked(result string) { t.pokes.WithLabelValues(result).Inc() }

// PodRequest notes one attempt to write to a pod or to take one away, and in one
// word each what it was and how it ended.
func (t *Telemetry) PodRequest(action, result string) {
	t.podRequests.WithLabelValues(action, result).Inc()
}

// Admitted notes a pod that was let through the gate, and how long after its
// creation; below 0 is not known.
func (t *Telemetry) Admitted(workload metrics.ID, waited time.Duration) {
	t.admissions.WithLabelValues(workload.Namespace, workload.Name).Inc()
	if waited >= 0 {
		t.admissionWait.WithLabelValues(workload.Namespace, workload.Name).Observe(waited.Seconds())
	}
}

// Evicted notes one attempt to take a pod away, and in one word how it ended.
func (t *Telemetry) Evicted(workload metrics.ID, reason policy.EvictionReason, result string) {
	t.evictions.WithLabelValues(workload.Namespace, workload.Name, string(reason), result).Inc()
}

// Ungoverned notes how many pods wait at the gate, by namespace, that no policy
// governs. One call at a time. Series that stay are never away in between.
func (t *Telemetry) Ungoverned(pods map[string]int) {
	for namespace := range t.ungovernedIn {
		if pods[namespace] == 0 {
			t.ungoverned.DeleteLabelValues(namespace)
		}
	}
	for namespace, n := range pods {
		t.ungoverned.WithLabelValues(namespace).Set(float64(n))
	}
	t.ungovernedIn = pods
}

// Leader notes whether this process leads.
func (t *Telemetry) Leader(leads bool) {
	if leads {
		t.leader.Set(1)
	} else {
		t.leader.Set(0)
	}
}

// NewRecordingCollectors returns metrics of a recording: how many decisions could
// not be kept, and how much it occupies.
func NewRecordingCollectors(dropped func() uint64, bytes func() int64) []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "headroom_recording_dropped_total",
			Help: "Decisions that were not recorded: they came too fast, or could not be written.",
		}, func() float64 { return float64(dropped()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "headroom_recording_bytes",
			Help: "What the recording occupies.",
		}, func() float64 { return float64(bytes()) }),
	}
}
