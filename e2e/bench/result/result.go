package result

import (
	"time"
)

// Result is what was measured of one contender in one run of a scenario.
type Result struct {
	Scenario  string `json:"scenario"`
	Contender string `json:"contender"`
	// Parameters are those of the contender, "" without any; Seed is the run's.
	Parameters string    `json:"parameters,omitempty"`
	Seed       int       `json:"seed"`
	Started    time.Time `json:"started"` // of the timeline
	Versions   Versions  `json:"versions"`
	Machine    Machine   `json:"machine"`

	// Refused are connections that the clients were refused with SQLSTATE 53300,
	// as they counted; Logged the same by the server's own log.
	Refused Refusals `json:"refused"`
	Logged  Refusals `json:"logged"`
	// OtherAttempts are the other application's attempts to connect, OtherFailed
	// those that failed, whatever the reason.
	OtherAttempts int `json:"otherAttempts"`
	OtherFailed   int `json:"otherFailed"`
	// SecondsFull is for how long an ordinary role could get no connection;
	// PeakUsed the most connections at a time, of Usable.
	SecondsFull float64 `json:"secondsFull"`
	PeakUsed    int     `json:"peakUsed"`
	Usable      int     `json:"usable"`

	// DrainSeconds is from the first message until the last was deleted, or until
	// the run was cut off where it is not Drained. FixedDrainSeconds is that of
	// the fixed replicas beside it, 0 where they did not drain or run.
	Drained           bool    `json:"drained"`
	DrainSeconds      float64 `json:"drainSeconds"`
	FixedDrainSeconds float64 `json:"fixedDrainSeconds,omitempty"`
	// Messages were sent, Handled written to the database, each counted once.
	Messages int `json:"messages"`
	Handled  int `json:"handled"`

	// PodSeconds add up the pods' processes from the first message until the
	// drain; PeakPods are the most at a time. Both count terminating pods.
	PodSeconds float64 `json:"podSeconds"`
	PeakPods   int     `json:"peakPods"`
	// Turns are the changes of direction of spec.replicas, of all fleets.
	Turns int `json:"turns"`

	// Seconds is how long the run was watched.
	Seconds float64 `json:"seconds"`
	// AutoscalerConnections are the most that the autoscaler held at a time,
	// AutoscalerAWSCalls its requests to SQS.
	AutoscalerConnections int `json:"autoscalerConnections"`
	AutoscalerAWSCalls    int `json:"autoscalerAWSCalls"`

	// Findings say what is doubtful about the run, in sentences.
	Findings []string `json:"findings,omitempty"`
	Samples  Series   `json:"samples"`
}

// Refusals are refused connections, by who was refused.
type Refusals struct {
	Workers    int `json:"workers"`
	Other      int `json:"other"`
	Autoscaler int `json:"autoscaler"`
}

// Ratio is the drain relative to that of fixed replicas, 0 where there is
// nothing to compare.
func (r Result) Ratio() float64 {
	if !r.Drained || r.FixedDrainSeconds <= 0 {
		return 0
	}
	return r.DrainSeconds / r.FixedDrainSeconds
}

// AllRefused are the refusals of everybody but the autoscaler.
func (r Result) AllRefused() int { return r.Refused.Workers + r.Refused.Other }

// Key tells results apart: a later one of the same key replaces an earlier one.
type Key struct {
	Scenario, Contender, Parameters string
	Seed                            int
}

// Key is the result's.
func (r Result) Key() Key { return Key{r.Scenario, r.Contender, r.Parameters, r.Seed} }

// Versions are those of what took part.
type Versions struct {
	Headroom   string `json:"headroom"`
	Kubernetes string `json:"kubernetes"`
	KEDA       string `json:"keda"`
	PostgreSQL string `json:"postgresql"`
	Go         string `json:"go"`
}

// Machine is what everything ran on, and how busy it was.
type Machine struct {
	Cores     int     `json:"cores"`
	MemoryGiB float64 `json:"memoryGiB"`
	// Lanes ran side by side.
	Lanes int `json:"lanes"`
	// Load is the highest one-minute load average; Busy the share of processor
	// time that was used, from 0 to 1.
	Load float64 `json:"load"`
	Busy float64 `json:"busy"`
	// Late is by how many seconds one in a hundred samples was late.
	Late float64 `json:"lateSeconds"`
}

// Series are samples for a chart, in equal steps from the beginning of the
// timeline.
type Series struct {
	EverySeconds float64 `json:"everySeconds"`
	// Used are connections of everybody, Usable the limit for ordinary roles.
	Used   []int `json:"used"`
	Usable []int `json:"usable"`
	// Pods are the fleets' pods that run, terminating ones included; Target is
	// spec.replicas, both of all fleets.
	Pods   []int `json:"pods"`
	Target []int `json:"target"`
	// Refused are connections refused since the sample before.
	Refused []int `json:"refused"`
}
