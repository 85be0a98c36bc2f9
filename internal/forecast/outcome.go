package forecast

import (
	"time"
)

// Outcome is what became of a trace.
type Outcome struct {
	Contender string `json:"contender"`
	// Messages came; Done were worked on to the end, Left were not when the run ended;
	// Returned is how often one went back because its pod was killed.
	Messages uint64 `json:"messages"`
	Done     uint64 `json:"done"`
	Left     uint64 `json:"left"`
	Returned uint64 `json:"returned"`
	// DrainSeconds is from the first message until the last was done;
	// LongestBacklogSeconds is the longest time in which messages waited without a
	// break.
	DrainSeconds          float64 `json:"drainSeconds"`
	LongestBacklogSeconds float64 `json:"longestBacklogSeconds"`
	// Ages are how old messages were when they were done, in seconds.
	Ages AgeSummary `json:"ages"`
	// Kept were done within the objective, KeptShare of all that came; 0 where there is
	// no objective.
	Kept      uint64  `json:"kept"`
	KeptShare float64 `json:"keptShare"`
	// Databases are in the order of the world's servers.
	Databases []DatabaseOutcome `json:"databases"`
	// PodHours are those of pods that had a node, the time in which they started and
	// ended included, up to the trace's end or the last message.
	PodHours float64 `json:"podHours"`
	PeakPods int     `json:"peakPods"`
	// ReplicaChanges are changes of spec.replicas, Turns those that changed direction.
	ReplicaChanges int   `json:"replicaChanges"`
	Turns          int   `json:"turns"`
	Calls          Calls `json:"calls"`
	// LimitedSeconds is for how long each reason was the target's; none but for
	// Headroom.
	LimitedSeconds map[string]float64 `json:"limitedSeconds,omitempty"`
	// SimulatedSeconds is how long the run took in its own time.
	SimulatedSeconds float64 `json:"simulatedSeconds"`
	Series           Series  `json:"series"`
}

// AgeSummary are ages in seconds. Percentiles are exact to 1 %.
type AgeSummary struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
}

// DatabaseOutcome is what became of a database's connections.
type DatabaseOutcome struct {
	Database string `json:"database"`
	Limit    int    `json:"limit"`
	Peak     int    `json:"peak"`
	// Refused are logins that were refused because all were taken.
	RefusedWorkers int64   `json:"refusedWorkers"`
	RefusedOthers  int64   `json:"refusedOthers"`
	FullSeconds    float64 `json:"fullSeconds"`
}

// Calls are requests to AWS.
type Calls struct {
	// QueueAttributes are the autoscaler's; Messages are the workers' receives (with
	// those that came back empty after 20 s) and deletes, one message at a time.
	QueueAttributes int64 `json:"queueAttributes"`
	Messages        int64 `json:"messages"`
	// CloudWatchMetrics are metrics asked for by GetMetricData.
	CloudWatchMetrics int64 `json:"cloudWatchMetrics"`
}

// Prices of AWS, in dollars: of a request to SQS (a standard queue, after the free
// tier), and of a metric in GetMetricData.
const (
	PriceOfRequest = 0.40 / 1e6
	PriceOfMetric  = 0.01 / 1e3
)

// Dollars is what the calls cost: the autoscaler's, and the workers'.
func (c Calls) Dollars() (autoscaler, workers float64) {
	return float64(c.QueueAttributes)*PriceOfRequest + float64(c.CloudWatchMetrics)*PriceOfMetric, float64(c.Messages) * PriceOfRequest
}

// longPoll is how long a receive waits for a message.
const longPoll = 20 * time.Second

func (r *run) outcome(name string, s scaler) Outcome {
	for len(r.pods) > 0 {
		p := r.pods[0]
		r.unfull(p)
		r.remove(p)
	}
	o := Outcome{
		Contender: name, Messages: r.number, Done: r.done, Left: r.number - r.done, Returned: r.returned,
		DrainSeconds: max(0, r.lastDone-r.firstAt).Seconds(), LongestBacklogSeconds: r.longest.Seconds(),
		Ages: AgeSummary{
			P50: r.ages.Percentile(50).Seconds(), P95: r.ages.Percentile(95).Seconds(), P99: r.ages.Percentile(99).Seconds(), Max: r.ages.most.Seconds(),
		},
		Kept: r.kept, PodHours: r.podTime.Hours(), PeakPods: r.peakPods, ReplicaChanges: r.changes, Turns: r.turns, Calls: r.calls,
		SimulatedSeconds: r.now.Seconds(), Series: r.samples.series(),
	}
	if r.queue.len() > 0 {
		o.LongestBacklogSeconds = max(r.longest, r.now-r.busySince).Seconds()
	}
	if r.done > 0 {
		o.Ages.Mean = r.ages.sum / float64(r.done)
	}
	if r.number > 0 {
		o.KeptShare = float64(r.kept) / float64(r.number)
	}
	o.Calls.Messages = 2*int64(r.done) + int64(max(0, r.workTime-r.fullTime)/longPoll)
	for _, v := range r.servers {
		v.note(r.now)
		o.Databases = append(o.Databases, DatabaseOutcome{
			Database: v.ID.String(), Limit: v.Limit, Peak: v.peak,
			RefusedWorkers: v.refusedWorkers, RefusedOthers: v.refusedOthers, FullSeconds: v.full.Seconds(),
		})
	}
	for reason, d := range s.limited() {
		if o.LimitedSeconds == nil {
			o.LimitedSeconds = map[string]float64{}
		}
		o.LimitedSeconds[string(reason)] = d.Seconds()
	}
	return o
}
