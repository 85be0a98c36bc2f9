package policy

import (
	"cmp"
	"fmt"
	"math"
	"slices"
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

// Ask is how many replicas the objective asked for at a time.
type Ask struct {
	At       time.Time `json:"at"`
	Replicas int       `json:"replicas"`
}

const (
	// loadLeast is how busy pods are to be by what comes at least: the longer messages may
	// wait, the less chance makes them late.
	loadLeast = 0.8
	// spareShare is how much of the time to spare messages may take without need: the
	// objective less twice the time that a pod takes to come.
	spareShare = 0.8
	// hpaSync is how long the HPA may take to look at a value again (its sync
	// period).
	hpaSync = 15 * time.Second
	// asksKept bounds how many asks are remembered.
	asksKept = 6
	// arrivalsWindow is how far back arrivals speak for those to come, at most;
	// arrivalsLeast how far at least.
	arrivalsWindow = 60.0
	arrivalsLeast  = 10.0
	// inHand is how long work has to last for the pods that are there to be kept for it:
	// to let them go sooner saves nothing.
	inHand = 30 * time.Second
	// longService is from how many seconds on work on a message is worth keeping a
	// pod for.
	longService = 5.0
	// mostStabilization bounds how late a fall is followed because work takes long.
	mostStabilization = time.Hour
)

// pursue asks for as many replicas as do every message in time, as far as that can
// be told, and else for what messages per pod ask.
func (f *fleet) pursue(now time.Time, q metrics.Queue, began time.Time, reading metrics.Reading[metrics.Points]) (int, Step) {
	s := *f.SQS
	points, _ := reading.Last() // what was published stays true, however long ago it was read
	flow := f.memory.Flow.observe(q, began, f.readyThroughout(f.memory.Flow.At), s.SecondsPerMessage)
	flow = flow.learn(points, q.FIFO, s.Concurrency)
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
			p := f.pursuit(now, q, flow, o, arrivals, doubt)
			if n := p.replicas(flow.lastAsk()); n > asked {
				asked, least = n, fmt.Sprintf("; but %s at least, by what is known", replicas(n))
			}
		}
		o.Rate = 0
		step.Before, step.After = asked, asked
		step.Sentence = describeBacklog(q, s, o.ByMessages) + ", for the objective can't be followed: " + o.Fallback + least + trouble.describe()
		f.memory.Flow = flow
		return asked, step
	}
	p := f.pursuit(now, q, flow, o, arrivals, doubt)
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

// arrivals is how many messages come in a second, and how far that may be off by
// chance. It looks back as far as what came is what still comes: to where the rate
// before and after differ most, if by more than chance explains, and what is not known
// of how fast messages are done; and else for arrivalsWindow.
func (f Flow) arrivals(perMessage float64) (rate, doubt float64) {
	type sum struct{ seconds, came, variance, done float64 }
	var sums [flowIntervals + 2]sum
	n := 0
	for i, in := range slices.Backward(f.Came) {
		if i == 0 && f.Assumed {
			break // nobody saw it come
		}
		if in.Seconds <= 0 || n > flowIntervals {
			continue
		}
		s := sums[n]
		if s.seconds >= arrivalsWindow {
			break
		}
		seen, variance := in.Seen, in.Unsure
		if variance == 0 {
			seen, variance = in.Messages, in.Messages+in.Done/4+1
		}
		n++
		sums[n] = sum{s.seconds + in.Seconds, s.came + seen, s.variance + variance, s.done + in.Done}
	}
	if n == 0 {
		return 0, 0
	}
	all, cut, most, unsure := sums[n], n, 3.0, f.doubt(perMessage)
	for i := 1; i < n; i++ {
		s := sums[i]
		if s.seconds < arrivalsLeast {
			continue
		}
		rest := sum{all.seconds - s.seconds, all.came - s.came, all.variance - s.variance, all.done - s.done}
		apart := math.Abs(s.came/s.seconds - rest.came/rest.seconds)
		common := unsure * (s.done/s.seconds - rest.done/rest.seconds)
		if z := apart / math.Sqrt(s.variance/(s.seconds*s.seconds)+rest.variance/(rest.seconds*rest.seconds)+common*common); z > most {
			cut, most = i, z
		}
	}
	s := sums[cut]
	if cut == n {
		return f.cameIn(s.seconds) / s.seconds, math.Sqrt(s.variance) / s.seconds
	}
	return max(0, s.came) / s.seconds, math.Sqrt(s.variance) / s.seconds
}

// lasting is what of arrivals has lasted for so many seconds: of a rise, no more than
// came in any third of them, and in the last quarter. A burst is a backlog and not a
// rate, wherever in them it was.
func (f Flow) lasting(rate, seconds float64) float64 {
	steady, third, quarter := rate, seconds/3, seconds/4
	for _, part := range []struct{ came, seconds float64 }{
		{f.cameIn(quarter), quarter},
		{f.cameIn(third), third},
		{f.cameIn(2*third) - f.cameIn(third), third},
		{f.cameIn(seconds) - f.cameIn(2*third), third},
	} {
		if came := part.came / part.seconds; came+3*math.Sqrt((rate+1)/part.seconds) < rate {
			steady = min(steady, came)
		}
	}
	return steady
}

// pursuit is everything that the objective reckons with, in seconds and messages.
type pursuit struct {
	rate     float64 // messages that one pod finishes in a second
	arrivals float64 // a second, that have lasted as long as there is time to see
	recent   float64 // that have lasted since just now
	doubt    float64 // by how much both may be off
	work     float64 // messages to be done
	due      []due
	pods     []coming // soonest first
	lead     float64  // until a pod is ready that is asked for now
	load     float64  // how busy pods are to be: the less, the sooner chance makes messages late
	grace    float64  // in what time at least: no pod is worth its start that works for less
	slack    float64  // by how much ages may be off
	spare    float64  // how old messages may become without need
	soon     float64  // for how long as many pods have to do as there are
	most     int      // more can't be employed
	why      string   // which is why
	hold     int      // replicas that have work, if they are there
	visible  bool     // something can be received, or was
	silent   bool     // so little comes that it can wait for a pod to start
}

// due is how many messages have to be done within so many seconds.
type due struct{ messages, within float64 }

// coming is how many pods work from so many seconds on.
type coming struct {
	pods int
	in   float64
}

func (f *fleet) pursuit(now time.Time, q metrics.Queue, flow Flow, o *ObjectivePlan, arrivals, doubt float64) pursuit {
	s := *f.SQS
	objective := s.MaxMessageAge.Seconds()
	p := pursuit{rate: o.Rate, arrivals: arrivals, doubt: doubt, slack: min(o.Age.Uncertainty, objective/4), visible: q.Visible > 0 || q.InFlight > 0}
	p.lead = (flow.startup() + hpaSync + s.PollInterval).Seconds()
	p.grace = max(objective/8, p.lead/2)
	p.spare = max(0, objective-2*p.lead) * spareShare
	p.load = max(1-p.lead/(4*objective), loadLeast)
	p.load += (1 - p.load) * min(1, p.spare/p.lead)
	p.soon = p.lead + objective
	p.recent = flow.lasting(arrivals, 2*arrivalsLeast)
	p.arrivals = flow.lasting(arrivals, min(max((objective-p.lead)/4, 2*arrivalsLeast), arrivalsWindow))
	unseen := max(0, s.IdlePollInterval-s.PollInterval).Seconds() // what comes into an empty queue
	p.silent = objective > p.lead+unseen+s.SecondsPerMessage && arrivals*p.lead < 1 || arrivals == 0
	all := max(0, depth(q)-o.Age.Poison)
	p.work = all
	if !s.IncludeDelayed {
		p.work = max(0, all-depth(metrics.Queue{Delayed: q.Delayed}))
	}
	late := max(0, now.Sub(flow.At).Seconds())
	for i, left, age := len(flow.Came)-1, all, late; p.work > 0; i-- {
		p.due = append(p.due, due{min(left, p.work), objective - age})
		if i >= 0 {
			left -= flow.Came[i].Messages
			age += flow.Came[i].Seconds
		}
		if i < 0 || left < 1 || age >= o.Age.Seconds {
			p.due = append(p.due, due{min(max(1, left), p.work), objective - o.Age.Seconds})
			break
		}
	}
	p.pods = f.comingPods(now, flow, p.lead)
	parallel := float64(max(1, s.Concurrency))
	p.most = whole((p.work + arrivals*p.lead) / parallel)
	p.why = "there is no work for more"
	if groups, short := flow.parallel(now, q.FIFO); short {
		o.Groups = groups
		if most := whole(float64(groups) / parallel); most < p.most {
			p.most, p.why = most, fmt.Sprintf("consumers found no message group free: at most %d can work at once", groups)
		}
	}
	p.hold = min(whole(p.work/(p.rate*inHand.Seconds())), p.most)
	if service := cmp.Or(s.SecondsPerMessage, flow.Service); service >= longService {
		p.hold = max(p.hold, whole(max(0, inFlight(q)-o.Age.Poison)/flow.held(s)))
	}
	return p
}

// comingPods are the pods that work or will, with those that are asked for.
func (f *fleet) comingPods(now time.Time, flow Flow, lead float64) []coming {
	startup := flow.startup().Seconds()
	out := []coming{{}} // those that are ready
	there := 0
	for _, p := range f.pods {
		switch {
		case p.Terminating || p.promised:
			continue
		case p.Ready:
			out[0].pods++
		default:
			out = append(out, coming{1, min(max(startup-now.Sub(p.CreatedAt).Seconds(), 1), startup)})
		}
		there++
	}
	if missing := f.state.SpecReplicas - there; missing > 0 {
		out = append(out, coming{missing, startup})
		there += missing
	}
	for _, a := range flow.Asks {
		if missing := a.Replicas - there; missing > 0 {
			out = append(out, coming{missing, min(max(lead-now.Sub(a.At).Seconds(), 1), lead)})
			there += missing
		}
	}
	slices.SortFunc(out, func(a, b coming) int { return cmp.Compare(a.in, b.in) })
	return out
}

// need is how many replicas do d's messages within its time, or within grace where less
// is left; false where nothing is.
func (p pursuit) need(d due, grace float64) (int, bool) {
	seconds, n := d.messages/p.rate, 0 // of work, for one pod
	within := max(d.within, grace)
	for _, c := range p.pods {
		each := within - c.in
		if each <= 0 {
			break
		}
		if float64(c.pods)*each >= seconds {
			return n + whole(seconds/each), true
		}
		seconds -= float64(c.pods) * each
		n += c.pods
	}
	left := max(d.within-p.lead, grace)
	if left <= 0 {
		return n, false
	}
	for _, c := range p.pods {
		if within <= c.in {
			n += c.pods
		}
	}
	return min(n+whole(seconds/left), math.MaxInt32), true
}

// least is how many replicas keep the objective for what can still be kept: with
// everything that is uncertain turning out well.
func (p pursuit) least() int {
	n := whole(max(0, p.arrivals-2*p.doubt) / p.rate)
	for _, d := range p.due {
		if needed, can := p.need(due{d.messages, d.within + p.slack}, 0); can && d.within > 0 {
			n = max(n, needed)
		}
	}
	return min(n, p.most)
}

// replicas is how many are asked for, after asked were. Deadlines of what is there come
// first. Of what comes, some may wait as long as there is time to spare: as many pods do
// as there are, as long as nothing gets older than that before others could come and an
// objective's time is over; and then as many are asked for as keep up. A fall has to
// keep up at once. So a change that chance explains is none.
func (p pursuit) replicas(asked int) int {
	backlog := 0
	for _, d := range p.due {
		needed, _ := p.need(due{d.messages, d.within - p.slack}, p.grace)
		backlog = max(backlog, needed)
	}
	within := func(n int) int {
		n = min(max(backlog, n), p.most)
		if p.visible {
			n = max(n, 1)
		}
		return n
	}
	keepsUp := func(arrivals float64) int { return within(whole(arrivals / (p.load * p.rate))) }
	if p.silent && p.work < 1 {
		return within(0)
	}
	waiting, _ := p.need(due{p.work + max(0, p.arrivals-p.doubt)/p.load*p.soon, p.spare + p.soon}, p.grace)
	low, n, high := within(waiting), keepsUp(p.recent), keepsUp(p.recent+2*p.doubt)
	switch {
	case asked < low:
		return max(low, n)
	case asked > high && low <= n:
		return n
	case asked > high && low < asked/2:
		return low
	}
	return min(asked, within(p.most))
}

// lastAsk is what the objective asked for last.
func (f Flow) lastAsk() int {
	if n := len(f.Asks); n > 0 {
		return f.Asks[n-1].Replicas
	}
	return 0
}

// ask remembers what is asked for now. Of what was asked before, what is not asked
// for any more is forgotten, and what should have come by now but for the last.
func (f Flow) ask(now time.Time, replicas int, lead float64) []Ask {
	var asks []Ask
	for _, a := range f.Asks {
		if a.Replicas <= replicas && now.Sub(a.At).Seconds() <= 2*lead {
			asks = append(asks, a)
		}
	}
	if n := len(asks); n == 0 || asks[n-1].Replicas < replicas {
		asks = append(asks, Ask{now, replicas})
	}
	return asks[max(0, len(asks)-asksKept):]
}

// whole rounds up to a number of pods, but for what is lost in floating point.
func whole(v float64) int {
	if math.IsNaN(v) || v <= 0 {
		return 0
	}
	return int(min(math.Ceil(v-1e-9), math.MaxInt32))
}

func (p pursuit) describe(o *ObjectivePlan, s SQS) string {
	text := fmt.Sprintf("the objective of %s asks for %s: the oldest message is %s old (±%s), %s messages are to be done and %s/s come, at %s/s for each pod, and a pod that is asked for now works in %s",
		docShowDuration(int64(s.MaxMessageAge)), replicas(o.Replicas), seconds(o.Age.Seconds), seconds(o.Age.Uncertainty), short(p.work), short(o.Arrivals), short(o.Rate), seconds(p.lead))
	if p.spare >= 1 && float64(o.Replicas)*p.rate < p.recent {
		text += fmt.Sprintf("; more come than %s do, which is well until messages would get older than %s", replicas(o.Replicas), seconds(p.spare))
	}
	if o.Replicas >= p.most && p.work > 0 {
		text += "; " + p.why
	}
	if o.Age.Poison >= 1 {
		text += fmt.Sprintf("; about %s more were received three times or more, and ask for nothing", short(o.Age.Poison))
	}
	return text
}

// seconds writes a number of seconds for a person.
func seconds(v float64) string {
	return time.Duration(v * float64(time.Second)).Round(time.Second).String()
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
