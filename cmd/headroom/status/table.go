package status

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/internal/columns"
	"github.com/keda-headroom/headroom/internal/serverclient"
)

// table renders an overview for a person.
func table(o Overview, now time.Time) string {
	var b strings.Builder
	if o.At.IsZero() {
		return "Nothing was decided yet: no policy was valid so far, the server's log says why.\n"
	}
	fmt.Fprintf(&b, "Decided %s, %s ago.\n\n", o.At.In(now.Location()).Format("2006-01-02 15:04:05 MST"), serverclient.Ago(o.At, now))
	b.WriteString(databases(o.Databases, now))
	b.WriteString("\n")
	b.WriteString(workloads(o.Workloads))
	return b.String()
}

func databases(all []Database, now time.Time) string {
	if len(all) == 0 {
		return "No databases.\n"
	}
	right := []bool{false, true, true, true, true, true, true, true, true, true, true}
	rows := [][]string{{"DATABASE, LIMIT ON", "LIMIT", "RESERVE", "USED", "OTHERS", "HIGH WATER", "GHOSTS", "GRANTED", "BUDGET", "FREE", "READ"}}
	notes := ""
	for _, d := range all {
		age := "never"
		if !d.Read.IsZero() {
			age = serverclient.Ago(d.Read, now) + " ago"
		}
		for _, c := range d.Constraints {
			row := []string{d.ID.String() + ", " + c.Name}
			for _, n := range []int{c.Limit, c.Reserve, c.Used, c.Others, c.OthersHighWater, c.Ghosts, c.Granted, c.Budget, c.Free} {
				row = append(row, strconv.Itoa(n))
			}
			rows = append(rows, append(row, age))
		}
		if len(d.Constraints) == 0 {
			rows = append(rows, []string{d.ID.String(), "?", "?", "?", "?", "?", "?", "?", "?", "?", age})
		}
		if d.Unknown != "" {
			notes += fmt.Sprintf("%s is unknown: %s.\n", d.ID, d.Unknown)
		}
		if d.Starting != "" {
			notes += d.Starting + ".\n"
		}
	}
	return columns.Write(rows, right...) + notes
}

func workloads(all []Workload) string {
	if len(all) == 0 {
		return "No workloads.\n"
	}
	rows := [][]string{{"WORKLOAD", "MODE", "DEMAND", "CEILING", "TARGET", "CURRENT", "GATED", "REASON", ""}}
	notes := ""
	for _, w := range all {
		notes += gate(w)
		demand := strconv.Itoa(w.Demand)
		if !w.Known {
			demand = "?"
		}
		rows = append(rows, []string{
			w.ID.String(), string(w.Mode), demand, strconv.Itoa(w.Ceiling), strconv.Itoa(w.Target), strconv.Itoa(w.Current), strconv.Itoa(w.Gated), string(w.Reason), w.Sentence,
		})
	}
	return columns.Write(rows, false, false, true, true, true, true, true) + notes
}

// gate says what is being done at a workload's gate, "" where nothing is.
func gate(w Workload) string {
	var all []string
	if w.Passing > 0 {
		all = append(all, fmt.Sprintf("%d may pass the gate now", w.Passing))
	}
	if w.Leaving > 0 {
		all = append(all, fmt.Sprintf("%d to be taken away", w.Leaving))
	}
	if w.Ungated > 0 {
		all = append(all, fmt.Sprintf("%d came into being without the gate: headroom lint says what is missing", w.Ungated))
	}
	if len(all) == 0 {
		return ""
	}
	return fmt.Sprintf("Pods of %s: %s.\n", w.ID, strings.Join(all, ", "))
}
