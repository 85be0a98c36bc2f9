package replay

import (
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// Report is what came of a replay.
type Report struct {
	// From and To are the times of the first and the last decision; zero where there
	// was none.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Decisions were made again. LongestGapSeconds is the longest time in which nothing
	// was recorded for some workload: such times count nowhere.
	Decisions         int     `json:"decisions"`
	LongestGapSeconds float64 `json:"longestGapSeconds"`
	// Workloads and Databases are in order.
	Workloads []Workload `json:"workloads"`
	Databases []Database `json:"databases"`
	// Damage says what of the recording could not be read.
	Damage []string `json:"damage,omitempty"`
	// Unrecorded are workloads of the policy that the recording does not have,
	// Ungoverned those of the recording that the policy does not have.
	Unrecorded []metrics.ID `json:"unrecorded,omitempty"`
	Ungoverned []metrics.ID `json:"ungoverned,omitempty"`
}

// Workload compares what was decided for a workload.
type Workload struct {
	ID       metrics.ID `json:"id"`
	Recorded Side       `json:"recorded"`
	Replayed Side       `json:"replayed"`
	// Seconds is for how long there were decisions, DifferentSeconds for how long the
	// targets differed.
	Seconds          float64 `json:"seconds"`
	DifferentSeconds float64 `json:"differentSeconds"`
	// MostAdded and MostRemoved are the largest differences each way; nil where there
	// is none.
	MostAdded   *Difference `json:"mostAdded,omitempty"`
	MostRemoved *Difference `json:"mostRemoved,omitempty"`
}

// Side is one of two policies' decisions.
type Side struct {
	// PodHours are the target's, added up over time: those that there would have been
	// had replicas followed at once.
	PodHours  float64 `json:"podHours"`
	MaxTarget int     `json:"maxTarget"`
	// Changes counts those of the target.
	Changes int `json:"changes"`
	// Seconds is for how long each reason was the target's.
	Seconds map[string]float64 `json:"seconds"`

	last int
	seen bool
}

// Difference is a moment at which the targets differed.
type Difference struct {
	At             time.Time `json:"at"`
	Recorded       int       `json:"recorded"`
	Replayed       int       `json:"replayed"`
	RecordedReason string    `json:"recordedReason"`
	ReplayedReason string    `json:"replayedReason"`
	// Sentence says why the replayed target is what it is.
	Sentence string `json:"sentence"`
}

// Database compares what a database was promised: the connections that all targets
// amount to, if every pod opens what it is counted as.
type Database struct {
	ID metrics.ID `json:"id"`
	// Limit and Reserve are the server's, at the peak; 0 where they were never known.
	Limit   int `json:"limit"`
	Reserve int `json:"reserve"`
	// RecordedPeak and ReplayedPeak are the most that was promised at once.
	RecordedPeak int `json:"recordedPeak"`
	ReplayedPeak int `json:"replayedPeak"`
}

// LimitedSeconds is for how long connections were what bound the target.
func (s Side) LimitedSeconds() float64 {
	return s.Seconds["ConnectionBudget"] + s.Seconds["FairShare"] + s.Seconds["RolloutOverlap"]
}

// note counts a target that was in force for so many seconds.
func (s *Side) note(target int, reason string, seconds float64) {
	if s.seen && target != s.last {
		s.Changes++
	}
	s.last, s.seen = target, true
	s.MaxTarget = max(s.MaxTarget, target)
	s.PodHours += float64(target) * seconds / 3600
	if s.Seconds == nil {
		s.Seconds = map[string]float64{}
	}
	s.Seconds[reason] += seconds
}
