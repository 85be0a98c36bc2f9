package why

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/policy"
)

// Gate says how many pods of a workload wait at its gate and for what, and which
// are taken away.
type Gate struct {
	// Waiting is how many wait, Since is when the one was created that has waited
	// longest; the rest are parts of Waiting.
	Waiting int       `json:"waiting"`
	Since   time.Time `json:"since,omitzero"`
	// Passing may pass now. Sealed have to carry the leader's term first, so that
	// nothing that was sent earlier lets them through. OtherGates wait for somebody
	// else's gate. Held wait for what the sentence says.
	Passing    int `json:"passing,omitempty"`
	Sealed     int `json:"sealed,omitempty"`
	OtherGates int `json:"otherGates,omitempty"`
	Held       int `json:"held,omitempty"`
	// Evictions are the pods that have to go.
	Evictions []policy.Eviction `json:"evictions,omitempty"`
	// Ungated counts pods that came into being without the gate though the mode is
	// Gate.
	Ungated int `json:"ungated,omitempty"`
	// Sentence says it all in words, "" where there is nothing to say.
	Sentence string `json:"sentence,omitempty"`
}

// gate looks at a workload's pods as they were when a plan was made of them. It is
// nil where nobody waits, nobody goes, and nobody passed without the gate.
func gate(now time.Time, s policy.Snapshot, p policy.WorkloadPlan) *Gate {
	fleet, _ := s.Fleets[p.ID].Last()
	g := Gate{Evictions: p.Evictions, Ungated: p.Ungated}
	passing, sealed := map[string]bool{}, map[string]bool{}
	for _, a := range p.Admissions {
		passing[a.UID] = true
	}
	for _, stamp := range p.Stamps {
		sealed[stamp.UID] = true
	}
	for _, pod := range fleet.Pods {
		if !pod.Gated || pod.Terminating || pod.Finished {
			continue
		}
		g.Waiting++
		if g.Since.IsZero() || pod.CreatedAt.Before(g.Since) {
			g.Since = pod.CreatedAt
		}
		switch {
		case passing[pod.UID]:
			g.Passing++
		case pod.OtherGates:
			g.OtherGates++
		case sealed[pod.UID]:
			g.Sealed++
		default:
			g.Held++
		}
	}
	if g.Waiting == 0 && len(g.Evictions) == 0 && g.Ungated == 0 {
		return nil
	}
	g.Sentence = g.sentence(now, s, p)
	return &g
}

func (g Gate) sentence(now time.Time, s policy.Snapshot, p policy.WorkloadPlan) string {
	var all []string
	if g.Waiting > 0 {
		parts := []string{}
		part := func(n int, text string) {
			if n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, text))
			}
		}
		part(g.Passing, "may pass now")
		part(g.Sealed, "once the leader's term stands on them")
		part(g.OtherGates, "once their other scheduling gates are gone")
		switch {
		case s.Epoch == "":
			part(g.Held, "until this process leads: until then it opens no gate")
		default:
			part(g.Held, "because "+cmp.Or(p.Sentence, string(p.Reason)))
		}
		all = append(all, fmt.Sprintf("%s at the gate, the longest for %s: %s", wait(g.Waiting), max(0, now.Sub(g.Since)).Round(time.Second), strings.Join(parts, ", ")))
	}
	for _, e := range g.Evictions {
		all = append(all, fmt.Sprintf("%s has to go (%s): %s", e.Name, e.Reason, e.Sentence))
	}
	if g.Ungated > 0 {
		all = append(all, fmt.Sprintf("%s came into being without the gate, so that it is reckoned with as in mode Target: headroom lint says what is missing", pods(g.Ungated)))
	}
	return strings.Join(all, "; ")
}

func wait(n int) string {
	if n == 1 {
		return "1 pod waits"
	}
	return fmt.Sprintf("%d pods wait", n)
}

func pods(n int) string {
	if n == 1 {
		return "1 pod"
	}
	return fmt.Sprintf("%d pods", n)
}
