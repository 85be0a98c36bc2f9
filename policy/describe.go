package policy

import (
	"fmt"
	"strings"
)

// Describe renders a decision for a person: one line with the outcome, then one
// line for each step that led there. The first line alone is a full sentence.
//
//	shop/order-workers: 4 replicas (ConnectionBudget), the queue asks for 9: platform/orders-db server carries …
//	  Demand            9 → 9  the queue asks for 9 replicas: 171 visible and 3 in flight at 20 messages per pod
//	  ConnectionBudget  9 → 4  platform/orders-db server carries 4 replicas at 5 per pod: …
func Describe(p WorkloadPlan) string {
	var b strings.Builder
	b.WriteString(Headline(p))
	b.WriteByte('\n')
	width := 0
	for _, s := range p.Steps {
		width = max(width, len(s.Reason))
	}
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "  %-*s  %d → %d  %s\n", width, s.Reason, s.Before, s.After, s.Sentence)
	}
	return b.String()
}

// Headline is the first line of [Describe], without a line break.
func Headline(p WorkloadPlan) string {
	text := fmt.Sprintf("%s: %s (%s)", p.ID, replicas(p.Target), p.Reason)
	if p.Demand.Known && p.Target != p.Demand.Backlog {
		asks := "the queue asks for"
		if p.Demand.NoQueue {
			asks = "wanted are"
		}
		text += fmt.Sprintf(", %s %d", asks, p.Demand.Backlog)
	}
	return text + ": " + p.Sentence
}
