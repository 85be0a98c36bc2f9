package why

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/internal/columns"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/why"
)

// table renders an answer for a person.
func table(a why.Answer, now time.Time) string {
	var b strings.Builder
	b.WriteString(policy.Describe(a.Plan))
	b.WriteByte('\n')
	b.WriteString(when(a, now))
	b.WriteString(state(a.Plan))
	if a.Gate != nil && a.Gate.Sentence != "" {
		fmt.Fprintf(&b, "%s.\n", strings.TrimSuffix(a.Gate.Sentence, "."))
	}
	b.WriteByte('\n')
	accounts(&b, a.Databases)
	uses(&b, a.Plan)
	changes(&b, a)
	for _, note := range a.Notes {
		fmt.Fprintf(&b, "\nNote: %s.\n", note)
	}
	return b.String()
}

func when(a why.Answer, now time.Time) string {
	at := a.At.In(now.Location()).Format("2006-01-02 15:04:05 MST")
	if a.From == why.FromRecording {
		return fmt.Sprintf("Decided %s, from the recording; in force at %s.\n", at, a.Asked.In(now.Location()).Format("15:04:05"))
	}
	return fmt.Sprintf("Decided %s, %s ago.\n", at, max(0, now.Sub(a.At)).Round(100*time.Millisecond))
}

// state says what KEDA is told, and what there is.
func state(p policy.WorkloadPlan) string {
	told := fmt.Sprintf("KEDA is told %.6g", p.Value)
	switch {
	case p.Failure != "":
		told = "KEDA is answered with an error, so that its fallback applies: " + p.Failure
	case p.Active:
		told += ", active"
	default:
		told += ", not active"
	}
	text := fmt.Sprintf("Mode %s. %s. %d wanted by spec.replicas, %d may hold connections", p.Mode, told, p.Replicas, p.Holding)
	if p.Gated > 0 {
		text += fmt.Sprintf(", %d wait at the gate", p.Gated)
	}
	if n := len(p.Admissions); n > 0 {
		text += fmt.Sprintf(", %d of them may pass now", n)
	}
	return fmt.Sprintf("%s. Ceiling %d, share %d.\n", text, p.Ceiling, p.Share)
}

// accounts shows every limit on the workload's databases.
func accounts(b *strings.Builder, databases []policy.DatabasePlan) {
	rows := [][]string{{"LIMIT ON", "LIMIT", "RESERVE", "USED", "OTHERS", "HIGH WATER", "GHOSTS", "BUDGET", "GRANTED", "DEPARTED", "FREE"}}
	for _, d := range databases {
		for _, c := range d.Constraints {
			row := []string{d.ID.String() + " " + c.Name}
			for _, n := range []int{c.Limit, c.Reserve, c.Used, c.Others, c.OthersHighWater, c.Ghosts, c.Budget, c.Granted, c.Departed, c.Free} {
				row = append(row, strconv.Itoa(n))
			}
			rows = append(rows, row)
		}
	}
	if len(rows) > 1 {
		write(b, rows)
		b.WriteString("Budget is limit - reserve - max(others, high water) - ghosts; free is budget - granted - departed.\n")
	}
	for _, d := range databases {
		if d.Unknown != "" {
			fmt.Fprintf(b, "%s is unknown: %s.\n", d.ID, d.Unknown)
		}
	}
	b.WriteByte('\n')
}

// uses shows what the workload has of each database.
func uses(b *strings.Builder, p policy.WorkloadPlan) {
	if len(p.Uses) == 0 {
		return
	}
	rows := [][]string{{"ITS CONNECTIONS TO", "PER POD", "DECLARED", "GRANTED", "VISIBLE", "MOST OF A POD"}}
	for _, u := range p.Uses {
		visible, most := "unknown", "unknown"
		if u.ObservedKnown {
			visible, most = strconv.Itoa(u.Observed), "-"
		}
		if u.ObservedMax > 0 {
			most = strconv.Itoa(u.ObservedMax)
		}
		rows = append(rows, []string{u.Database.String(), strconv.Itoa(u.PerPod), strconv.Itoa(u.Declared), strconv.Itoa(u.Granted), visible, most})
	}
	write(b, rows)
	for _, u := range p.Uses {
		if u.Unattributed {
			fmt.Fprintf(b, "None of its connections to %s is recognized: check user, database and applicationName in the policy.\n", u.Database)
		}
	}
	b.WriteByte('\n')
}

// write writes rows: the first column to the left, numbers to the right.
func write(b *strings.Builder, rows [][]string) {
	right := make([]bool, len(rows[0]))
	for i := range right {
		right[i] = i > 0
	}
	b.WriteString(columns.Write(rows, right...))
}

// changes shows what would add a replica.
func changes(b *strings.Builder, a why.Answer) {
	if len(a.Changes) == 0 {
		b.WriteString("No change of a single input would add a replica.\n")
		return
	}
	b.WriteString("Any one of these alone would add a replica:\n")
	for _, c := range a.Changes {
		fmt.Fprintf(b, "  - %s\n", c.Sentence)
	}
}
