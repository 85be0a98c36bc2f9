package check

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/internal/columns"
)

// table renders a report for a person.
func table(r Report) string {
	if len(r.Queues) == 0 {
		return "No queues: none of the policies has an sqs section.\n"
	}
	rows := [][]string{{"QUEUE", "WORKLOADS", "VISIBLE", "IN FLIGHT", "DELAYED", "CLOUDWATCH", "SQS CALLS", "IF IDLE", "COST", "IF IDLE"}}
	for _, q := range r.Queues {
		var workloads []string
		for _, w := range q.Workloads {
			workloads = append(workloads, w.String())
		}
		row := []string{q.Name, strings.Join(workloads, ", "), "?", "?", "?"}
		if d := q.Depth; d != nil {
			row = append(row[:2], number(d.Visible), number(d.InFlight), number(d.Delayed))
		}
		rows = append(rows, append(row, published(q), number(q.Cost.Calls), number(q.Cost.IdleCalls),
			dollars(q.Cost.SQS+q.Cost.CloudWatch), dollars(q.Cost.IdleSQS+q.Cost.CloudWatch)))
	}
	var b strings.Builder
	b.WriteString(columns.Write(rows, false, false, true, true, true, true, true, true, true, true))
	fmt.Fprintf(&b, "\nCalls and cost are for 30 days, at pollInterval and, of a queue that is never used, at idlePollInterval. Assumed: %s for a\n"+
		"million calls of SQS, %s for 1,000 metrics of CloudWatch, no free tier. All queues: %s.\n", dollars(r.Prices.SQS), dollars(r.Prices.CloudWatch), dollars(r.Total))
	for _, q := range r.Queues {
		for _, f := range q.Findings {
			fmt.Fprintf(&b, "\n%s: %s: %s\n  %s\n", f.Severity, q.Name, f.Problem, f.Hint)
		}
	}
	return b.String()
}

// published says how far behind CloudWatch is.
func published(q Queue) string {
	switch {
	case q.Published != nil && q.Published.Minutes > 0:
		return fmt.Sprintf("%s behind", time.Duration(q.Published.BehindSeconds*float64(time.Second)))
	case q.Published != nil:
		return "nothing"
	case q.Cost.Metrics > 0:
		return "?"
	}
	return "-"
}

// number writes 518400 as 518,400.
func number(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func dollars(amount float64) string { return fmt.Sprintf("$%.2f", amount) }
