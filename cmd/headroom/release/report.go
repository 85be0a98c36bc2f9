package release

import (
	"fmt"
	"strings"

	"github.com/keda-headroom/headroom/internal/columns"
	"github.com/keda-headroom/headroom/metrics"
)

// Outcome is what became of one pod.
type Outcome string

// The outcomes.
const (
	Released    Outcome = "Released"    // our gate is off it
	WouldBe     Outcome = "WouldBe"     // it would be, without --dry-run
	Gone        Outcome = "Gone"        // it has gone meanwhile, or is about to
	AlreadyOpen Outcome = "AlreadyOpen" // somebody else has removed our gate meanwhile
	Failed      Outcome = "Failed"      // it still has our gate
)

// Pod is one pod that had our gate.
type Pod struct {
	ID metrics.ID `json:"id"`
	// Workload is whose it is, the zero ID with --all.
	Workload metrics.ID `json:"workload,omitzero"`
	Outcome  Outcome    `json:"outcome"`
	// OtherGates are those that it waits for still: they are not ours to remove.
	OtherGates []string `json:"otherGates,omitempty"`
	// Problem says why it failed, "" where it did not.
	Problem string `json:"problem,omitempty"`
}

// Report is what the command writes.
type Report struct {
	DryRun bool  `json:"dryRun"`
	Pods   []Pod `json:"pods"`
	// Notes are what one should know beside.
	Notes []string `json:"notes"`
}

// count returns how many pods ended so.
func (r Report) count(outcomes ...Outcome) int {
	n := 0
	for _, p := range r.Pods {
		for _, o := range outcomes {
			if p.Outcome == o {
				n++
			}
		}
	}
	return n
}

// Notes that nobody should be without.
const (
	unaccounted = "Nobody has looked whether the databases have connections for these pods: what they open is over the budget where it does not fit."
	goesOn      = "A Headroom that runs goes on gating new pods and counts what these hold. To have done with it, take the label keda-headroom.github.io/gate or the scheduling gate out of the pods' template, and set the workload's mode to Observe."
	otherGates  = "Pods with other gates wait for those."
)

// note adds what is to be known about the pods.
func (r *Report) note() {
	if r.count(Released, WouldBe) > 0 {
		r.Notes = append(r.Notes, unaccounted, goesOn)
	}
	for _, p := range r.Pods {
		if len(p.OtherGates) > 0 && p.Outcome != Failed {
			r.Notes = append(r.Notes, otherGates)
			return
		}
	}
}

// table renders it for a person.
func table(r Report) string {
	if len(r.Pods) == 0 {
		return "No pods have the gate.\n"
	}
	rows := [][]string{{"POD", "WORKLOAD", "OUTCOME", "OTHER GATES", ""}}
	for _, p := range r.Pods {
		workload := "-"
		if p.Workload != (metrics.ID{}) {
			workload = p.Workload.String()
		}
		rows = append(rows, []string{p.ID.String(), workload, string(p.Outcome), strings.Join(p.OtherGates, ", "), p.Problem})
	}
	var b strings.Builder
	b.WriteString(columns.Write(rows))
	if r.DryRun {
		fmt.Fprintf(&b, "\n%d would be released; nothing was changed.\n", r.count(WouldBe))
	} else {
		fmt.Fprintf(&b, "\n%d released, %d failed.\n", r.count(Released), r.count(Failed))
	}
	for _, note := range r.Notes {
		b.WriteString(note + "\n")
	}
	return b.String()
}
