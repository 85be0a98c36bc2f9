package policy

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

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
	// inHand is how long work has to last for the pods that are there to be kept for it:
	// to let them go sooner saves nothing.
	inHand = 30 * time.Second
	// longService is from how many seconds on work on a message is worth keeping a
	// pod for.
	longService = 5.0
)

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

func (f *fleet) pursuit(now time.Time, q metrics.Queue, flow *Flow, o *ObjectivePlan, arrivals, doubt float64) pursuit {
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
func (f *fleet) comingPods(now time.Time, flow *Flow, lead float64) []coming {
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
func (p *pursuit) need(d due, grace float64) (int, bool) {
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
func (p *pursuit) least() int {
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
func (p *pursuit) replicas(asked int) int {
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

func (p *pursuit) describe(o *ObjectivePlan, s SQS) string {
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

// whole rounds up to a number of pods, but for what is lost in floating point.
func whole(v float64) int {
	if math.IsNaN(v) || v <= 0 {
		return 0
	}
	return int(min(math.Ceil(v-1e-9), math.MaxInt32))
}

// seconds writes a number of seconds for a person.
func seconds(v float64) string {
	return time.Duration(v * float64(time.Second)).Round(time.Second).String()
}
