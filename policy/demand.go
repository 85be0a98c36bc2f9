package policy

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// backlog is how many replicas the messages in a queue justify:
//
//	⌈(visible + in flight [+ delayed]) / messagesPerPod⌉
//
// Messages in flight count: the pods that work on them are still needed. 45
// visible, 7 in flight and 20 messages per pod give ⌈52/20⌉ = 3.
func backlog(q metrics.Queue, s SQS) int {
	messages := min(max(0, q.Visible), math.MaxInt64/4) + min(max(0, q.InFlight), math.MaxInt64/4)
	if s.IncludeDelayed {
		messages += min(max(0, q.Delayed), math.MaxInt64/4)
	}
	if messages == 0 {
		return 0
	}
	return int(min((messages-1)/s.MessagesPerPod+1, math.MaxInt32))
}

// ask fills in the demand of the fleet's queue. A queue without a fresh reading
// never scales in: what is there is held, and after errorAfter KEDA's own
// fallback takes over.
//
// Without a queue the replicas that there are ask for themselves: KEDA, an HPA or a
// person scales them by whatever they like. Where there is no gate a workload may
// want as many as it is told that there is room for.
func (f *fleet) ask(now time.Time, reading metrics.Reading[metrics.Queue], points metrics.Reading[metrics.Points]) (steps []Step, failure string) {
	m := &f.memory
	if !f.Queue() {
		asked, why := f.state.SpecReplicas, "no queue asks: the %s that there are ask for themselves"
		if f.Mode == Target {
			asked, why = f.hi, "no queue asks: up to %s may come"
		}
		raw := min(max(asked, f.lo), f.hi)
		f.demand = DemandPlan{Known: true, NoQueue: true, Backlog: asked, Raw: raw, Smoothed: raw}
		return []Step{{Demand, asked, asked, fmt.Sprintf(why, replicas(asked))}}, ""
	}
	q, ok := reading.At(now, f.SQS.StaleAfter)
	if !ok {
		if m.QueueUnknownSince.IsZero() {
			m.QueueUnknownSince = now
		}
		held := f.state.SpecReplicas
		f.demand = DemandPlan{Backlog: held, Raw: held, Smoothed: held}
		why := reading.Why(now, f.SQS.StaleAfter)
		steps = append(steps, Step{QueueUnknown, held, held, fmt.Sprintf("the queue has no fresh reading (%s): the present %s are held", why, replicas(held))})
		patience := f.SQS.ErrorAfter
		if _, known := reading.Last(); known {
			patience -= f.SQS.StaleAfter // it is that old already
		}
		if now.Sub(m.QueueUnknownSince) >= patience {
			failure = fmt.Sprintf("the queue of %s has had no fresh reading since %s: %s", f.ID, m.QueueUnknownSince.UTC().Format(time.RFC3339), why)
		}
		return steps, failure
	}
	m.QueueUnknownSince = time.Time{}
	asked, step := f.asks(now, q, reading.Began(), points)
	raw := min(max(asked, f.lo), f.hi)
	steps = append(steps, step)

	// A fall is followed late, and only by what runs: an old demand asks for no
	// new pod and takes no share from anybody who has work now.
	window := f.stabilization()
	m.Demand = m.Demand.Add(now, raw, window)
	smoothed := raw
	if recent, ok := m.Demand.Max(now, window); ok && recent > raw {
		smoothed = min(max(raw, min(recent, f.state.SpecReplicas)), f.hi)
	}
	if kept := min(f.hold, f.state.SpecReplicas, f.hi); kept > smoothed {
		smoothed = kept
	}
	f.demand = DemandPlan{Known: true, Backlog: asked, Raw: raw, Smoothed: smoothed, Objective: f.objective}
	return steps, ""
}

// asks is how many replicas the messages of the queue ask for, and why.
func (f *fleet) asks(now time.Time, q metrics.Queue, began time.Time, points metrics.Reading[metrics.Points]) (int, Step) {
	if f.SQS.MaxMessageAge > 0 {
		asked, step := f.pursue(now, q, began, points)
		if problem := points.Problem(); problem != "" {
			step.Sentence += "; CloudWatch tells nothing now: " + problem
		}
		return asked, step
	}
	f.memory.Flow = Flow{}
	asked := backlog(q, *f.SQS)
	return asked, Step{Demand, asked, asked, describeBacklog(q, *f.SQS, asked)}
}

func describeBacklog(q metrics.Queue, s SQS, asked int) string {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	text := number(q.Visible) + " visible and " + number(q.InFlight) + " in flight"
	if s.IncludeDelayed {
		text = number(q.Visible) + " visible, " + number(q.InFlight) + " in flight and " + number(q.Delayed) + " delayed"
	}
	return "the queue asks for " + replicas(asked) + ": " + text + " at " + number(s.MessagesPerPod) + " messages per pod"
}

// replicas writes a number of replicas for a person.
func replicas(n int) string {
	if n == 1 {
		return "1 replica"
	}
	return strconv.Itoa(n) + " replicas"
}

// connections writes a number of connections for a person.
func connections(n int) string {
	if n == 1 {
		return "1 connection"
	}
	return strconv.Itoa(n) + " connections"
}
