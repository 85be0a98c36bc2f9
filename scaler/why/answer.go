// Package why answers why a workload has the target it has, now or at an earlier
// time: with the decision, what led to it, and the smallest change of each input
// that would have added a replica.
package why

import (
	"fmt"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/recording"
)

// Where an answer comes from.
const (
	FromServer    = "server"    // the decision in force
	FromRecording = "recording" // an earlier one
)

// Answer explains one decision for one workload.
type Answer struct {
	policy.Explanation
	// From is FromServer or FromRecording.
	From string `json:"from"`
	// Asked is the time that was asked about; left out for the present.
	Asked time.Time `json:"asked,omitzero"`
	// Gate says who waits at the workload's gate; left out where nobody does.
	Gate *Gate `json:"gate,omitempty"`
	// Notes say what to keep in mind about the answer.
	Notes []string `json:"notes,omitempty"`
}

// Current explains a decision in force.
func Current(at time.Time, g policy.Group, s policy.Snapshot, l policy.Ledger, workload metrics.ID) (Answer, bool) {
	e, ok := policy.Explain(at, g, s, l, workload)
	return Answer{Explanation: e, From: FromServer, Gate: gate(at, s, e.Plan)}, ok
}

// Recorded explains the decision that was in force at an earlier time. Where
// nothing is known of it the error is a *[recording.NotFoundError].
func Recorded(reader *recording.Reader, workload metrics.ID, at time.Time, program string) (Answer, error) {
	r, err := reader.At(workload, at)
	if err != nil {
		return Answer{}, err
	}
	e, _ := policy.Explain(r.At, r.Group, r.Snapshot, r.Ledger, workload)
	a := Answer{Explanation: e, From: FromRecording, Asked: at.UTC(), Gate: gate(r.At, r.Snapshot, e.Plan)}
	if gap := at.Sub(r.At); gap > 2*recording.Heartbeat {
		a.Notes = append(a.Notes, fmt.Sprintf(
			"nothing was recorded for %s before the time asked about: Headroom did not run, or the workload had no policy; this is the last decision before", gap.Round(time.Second)))
	}
	if r.Dropped > 0 {
		a.Notes = append(a.Notes, fmt.Sprintf("%d decisions just before this one could not be recorded", r.Dropped))
	}
	if plan, _ := policy.Decide(r.At, r.Group, r.Snapshot, r.Ledger); recording.Checksum(plan) != r.Checksum {
		a.Notes = append(a.Notes, drift(r, e.Plan, program))
	}
	return a, nil
}

// drift says that this program decides otherwise than the one that recorded.
func drift(r recording.Record, now policy.WorkloadPlan, program string) string {
	text := fmt.Sprintf("this version (%s) words or decides something here otherwise than the one that recorded it (%s)", or(program, "unknown"), or(r.Program, "unknown"))
	if then, ok := r.Outcomes[now.ID]; ok && (then.Target != now.Target || then.Reason != now.Reason) {
		text += fmt.Sprintf(": then the target was %d (%s)", then.Target, then.Reason)
	}
	return text
}

func or(text, instead string) string {
	if text == "" {
		return instead
	}
	return text
}
