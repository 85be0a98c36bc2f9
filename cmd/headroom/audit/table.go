package audit

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/keda-headroom/headroom/internal/columns"
)

// table renders a report for a person.
func table(r Report) string {
	var b strings.Builder
	rows := [][]string{{"DATABASE, LIMIT ON", "ALLOWS", "COULD OPEN", "NOT GOVERNED", "IN USE", "VERDICT"}}
	for _, d := range r.Databases {
		if len(d.Limits) == 0 {
			rows = append(rows, []string{d.Name, "?", strconv.Itoa(d.CouldOpen), strconv.Itoa(d.Ungoverned), "?", string(d.Verdict)})
		}
		for _, l := range d.Limits {
			used := "?"
			if l.InUse != nil {
				used = strconv.Itoa(*l.InUse)
			}
			rows = append(rows, []string{d.Name + ", " + l.Name, strconv.Itoa(l.Allows), strconv.Itoa(l.CouldOpen), strconv.Itoa(l.Ungoverned), used, string(l.Verdict)})
		}
	}
	if len(rows) == 1 {
		b.WriteString("No databases were found.\n")
	} else {
		b.WriteString(columns.Write(rows, false, true, true, true, true))
	}
	rows = [][]string{{"FLEET", "DATABASE", "MOST PODS", "SURGE", "PER POD", "CONNECTIONS", "FROM"}}
	row := func(database string, c Consumer) {
		from := c.MaxFrom + ", " + c.PerPodFrom
		if c.Mode != "" {
			from += ", mode " + string(c.Mode)
		}
		rows = append(rows, []string{c.Object.String(), database, strconv.Itoa(c.Replicas), strconv.Itoa(c.Surge), strconv.Itoa(c.PerPod), strconv.Itoa(c.Connections), from})
	}
	for _, d := range r.Databases {
		for _, c := range d.Consumers {
			row(d.Name, c)
		}
	}
	for _, c := range r.Unplaced {
		row("?", c)
	}
	if len(rows) > 1 {
		b.WriteString("\n" + columns.Write(rows, false, false, true, true, true, true))
		b.WriteString("\nConnections are (most pods + surge) x per pod. \"assumed\" is what --connections-per-pod says.\n")
	}
	for _, s := range r.sentences() {
		fmt.Fprintf(&b, "\n%s\n", s)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "\nNote: %s.\n", n)
	}
	return b.String()
}
