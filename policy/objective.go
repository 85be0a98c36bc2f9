package policy

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// ObjectivePlan is how demand follows the age of messages
// ([SQS.MaxMessageAge]).
type ObjectivePlan struct {
	Age AgePlan `json:"age"`
	// Arrivals is how many messages come in a second, lately.
	Arrivals float64 `json:"arrivals"`
	// Rate is how many messages one pod finishes in a second while it has work; 0
	// where Fallback says why that can't be told.
	Rate float64 `json:"rate,omitempty"`
	// Fallback says why messages per pod decide and not the objective; "" while it
	// does.
	Fallback string `json:"fallback,omitempty"`
	// Startup is how many seconds a pod takes to become ready.
	Startup float64 `json:"startup"`
	// Replicas is what the objective asks for, ByMessages what messagesPerPod would;
	// both before any bound. Replicas is 0 where Fallback is set.
	Replicas   int `json:"replicas"`
	ByMessages int `json:"byMessages"`
	// Least is how many replicas keep the objective for every message that can still
	// be done in time, if nothing goes wrong: below it messages will be late.
	Least int `json:"least"`
	// Deliveries is how often a message is received until it is done, on average over
	// the latest minutes; 0 where CloudWatch has not told. Well above 1, work fails or
	// takes longer than the visibility timeout, and more pods don't help.
	Deliveries float64 `json:"deliveries,omitempty"`
	// Lost is the share of messages that left the queue without being deleted, to a
	// dead-letter queue or by their retention.
	Lost float64 `json:"lost,omitempty"`
	// Groups is how many consumers the message groups of a FIFO queue can employ; 0
	// where they bound nothing.
	Groups int `json:"groups,omitempty"`
	// ShortReplicas is by how much the target is below Least, where something limits it;
	// else 0. ShortConnections is how many more connections those replicas need, where
	// it is connections that limit it.
	ShortReplicas    int `json:"shortReplicas,omitempty"`
	ShortConnections int `json:"shortConnections,omitempty"`
}

// mostStabilization bounds how late a fall is followed because work takes long.
const mostStabilization = time.Hour

// pursue asks for as many replicas as do every message in time, as far as that can
// be told, and else for what messages per pod ask.
func (f *fleet) pursue(now time.Time, q metrics.Queue, began time.Time, reading metrics.Reading[metrics.Points]) (int, Step) {
	s := *f.SQS
	points, _ := reading.Last() // what was published stays true, however long ago it was read
	flow := f.memory.Flow.Next(q, began, f.readyThroughout(f.memory.Flow.At), points, s)
	flow.Startups = f.started(now, flow.Startups)
	o := &ObjectivePlan{ByMessages: backlog(q, s), Startup: flow.startup().Seconds()}
	o.Age = flow.age(now, q, points, s.SecondsPerMessage)
	o.Rate, o.Fallback = flow.perPod(now, s)
	trouble := flow.troubles(points)
	o.Deliveries, o.Lost = trouble.deliveries, trouble.lost
	arrivals, doubt := flow.arrivals(s.SecondsPerMessage)
	o.Arrivals = arrivals
	if o.Fallback == "" && !o.Age.Known {
		o.Fallback = "how old the messages are is not known: they came before anybody looked, and CloudWatch has told nothing yet"
	}
	f.objective = o
	step := Step{Reason: Demand}
	if o.Fallback != "" {
		asked, least := o.ByMessages, ""
		if o.Rate > 0 { // the age alone is missing: they are as old, at least, as they were watched
			p := f.pursuit(now, q, &flow, o, arrivals, doubt)
			if n := p.replicas(flow.lastAsk()); n > asked {
				asked, least = n, fmt.Sprintf("; but %s at least, by what is known", replicas(n))
			}
		}
		o.Rate = 0
		if _, told := reading.Last(); told { // soon more is known: until then the pods that work now are needed
			f.hold = whole(max(0, inFlight(q)-o.Age.Poison) / flow.held(s))
		}
		step.Before, step.After = asked, asked
		step.Sentence = describeBacklog(q, s, o.ByMessages) + ", for the objective can't be followed: " + o.Fallback + least + trouble.describe()
		f.memory.Flow = flow
		return asked, step
	}
	p := f.pursuit(now, q, &flow, o, arrivals, doubt)
	f.hold = p.hold
	o.Least, o.Replicas = p.least(), p.replicas(flow.lastAsk())
	flow.Asks = flow.ask(now, o.Replicas, p.lead)
	f.memory.Flow = flow
	step.Before, step.After, step.Sentence = o.Replicas, o.Replicas, p.describe(o, s)+trouble.describe()
	return o.Replicas, step
}

// readyThroughout counts the pods that were ready at since already, and are.
func (f *fleet) readyThroughout(since time.Time) int {
	n := 0
	for _, p := range f.pods {
		if seen := f.memory.Pods[p.UID].ReadySeen; p.Ready && !p.Terminating && !seen.IsZero() && !seen.After(since) {
			n++
		}
	}
	return n
}

// stabilization is how long the highest demand is followed: as the policy says, or
// as long as work on a message takes, where that is longer.
func (f *fleet) stabilization() time.Duration {
	if f.objective == nil {
		return f.ScaleDownStabilization
	}
	service := time.Duration(min(cmp.Or(f.SQS.SecondsPerMessage, f.memory.Flow.Service), mostStabilization.Seconds()) * float64(time.Second)).Round(time.Second)
	return max(f.ScaleDownStabilization, service)
}

// whyKept says why more replicas are kept than are asked for.
func (f *fleet) whyKept() string {
	if f.hold >= f.demand.Smoothed {
		return "as many have work in hand"
	}
	return fmt.Sprintf("the queue asked for as many within the last %s", f.stabilization())
}

// unreachable says that the objective can't be kept with target replicas, and by how
// much; nil where it can, or where nothing is known of it. connected is whether it is
// connections that bind the target.
func (f *fleet) unreachable(target int, connected bool) *Step {
	o := f.objective
	if o == nil || o.Fallback != "" || target >= o.Least {
		return nil
	}
	o.ShortReplicas = o.Least - target
	sentence := fmt.Sprintf("messages will be older than %s: at least %s are needed for those that can still be done in time, %d more than there may be",
		docShowDuration(int64(f.SQS.MaxMessageAge)), replicas(o.Least), o.ShortReplicas)
	if connected {
		perPod := 0
		for _, u := range f.uses {
			perPod = max(perPod, u.perPod)
		}
		if c := f.limit.binding; c != nil && f.cost[c.index] > 0 {
			perPod = f.cost[c.index]
		}
		o.ShortConnections = int(min(int64(o.ShortReplicas)*int64(perPod), math.MaxInt32))
		sentence += ", which is " + connections(o.ShortConnections)
	}
	return &Step{ObjectiveUnreachable, target, target, sentence}
}
