package gate

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/keda-headroom/headroom/scaler"
)

// Defaults of [Options].
const (
	// DefaultRequestTimeout is how long a request may take. The API server may go
	// on with it for longer.
	DefaultRequestTimeout = 5 * time.Second
	// DefaultPatchRate and DefaultEvictionRate are how many patches and evictions
	// there may be in a second; as many may come at once.
	DefaultPatchRate    = 100
	DefaultEvictionRate = 10
	// DefaultConcurrency is how many requests may be under way at once.
	DefaultConcurrency = 64
)

// Options of [New]. Client, State and Leading are required.
type Options struct {
	// Client reaches the core API: clientset.CoreV1().RESTClient(). Its own limit
	// on the rate of requests is left out of account; this package has its own.
	Client rest.Interface
	// State returns the latest state: the planner's. It must not wait.
	State func() *scaler.State
	// Leading returns the term in which this process leads, and whether it may
	// write now. It is asked right before each request and must not wait.
	Leading func() (epoch string, ok bool)
	// Confirm asks the API server whether term has gone on until now, see
	// leader.Leader. A stamp is sent only after a confirmation that was asked for
	// after it was planned. nil trusts Leading alone.
	Confirm func(ctx context.Context, term string) error
	// Done is told what became of each attempt, one after the other. It must not
	// wait. nil tells nobody.
	Done func(Outcome)
	// Log gets a line at info for each eviction and each second's admissions of a
	// workload, one at warn for what is refused, and at debug the rest. nil logs
	// nothing.
	Log *slog.Logger

	// RequestTimeout, PatchRate, EvictionRate and Concurrency are the defaults
	// where they are 0.
	RequestTimeout          time.Duration
	PatchRate, EvictionRate int
	Concurrency             int
}

// Actor does what plans want done. Make one with [New], then Run it.
type Actor struct {
	options            Options
	patches, evictions *rate.Limiter
	last               map[string]Attempt // by UID of the pod; used by Run alone
	underWay           int
	ended              chan Outcome
	journal            *journal
	confirmed          confirmation
}

// New returns an actor that has done nothing yet.
func New(options Options) *Actor {
	if options.Done == nil {
		options.Done = func(Outcome) {}
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.RequestTimeout <= 0 {
		options.RequestTimeout = DefaultRequestTimeout
	}
	if options.PatchRate <= 0 {
		options.PatchRate = DefaultPatchRate
	}
	if options.EvictionRate <= 0 {
		options.EvictionRate = DefaultEvictionRate
	}
	if options.Concurrency <= 0 {
		options.Concurrency = DefaultConcurrency
	}
	return &Actor{
		options:   options,
		patches:   rate.NewLimiter(rate.Limit(options.PatchRate), options.PatchRate),
		evictions: rate.NewLimiter(rate.Limit(options.EvictionRate), options.EvictionRate),
		last:      map[string]Attempt{},
		ended:     make(chan Outcome, options.Concurrency),
		journal:   newJournal(options.Log),
		confirmed: confirmation{ask: options.Confirm},
	}
}

// Run acts on the latest state, again and again, until ctx ends. Requests that
// are under way then are given up; it returns once none is left. It is called
// once.
func (a *Actor) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer func() {
		running.Wait()
		for a.underWay > 0 {
			a.note(<-a.ended)
		}
		a.journal.flush(time.Now(), true)
	}()
	for {
		state := a.options.State()
		wait := a.act(state, func(action Action) {
			running.Go(func() { a.ended <- a.attempt(ctx, action) })
		})
		now := time.Now()
		a.journal.flush(now, false)
		if due, waits := a.journal.due(now); waits {
			wait = min(wait, due)
		}
		again := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			again.Stop()
			return
		case <-state.Next():
		case outcome := <-a.ended:
			a.note(outcome)
		case <-again.C:
		}
		again.Stop()
	}
}

// idle is how long nothing is looked for where nothing waits.
const idle = time.Hour

// act starts what is to be done of a state now, and returns how long to wait for
// what has to wait.
func (a *Actor) act(state *scaler.State, start func(Action)) time.Duration {
	now := time.Now()
	var actions []Action
	for _, d := range state.Decisions {
		actions = append(actions, Actions(d.Plan, d.Snapshot)...)
	}
	forget(a.last, actions, now)
	if len(actions) == 0 {
		return idle
	}
	due, again := Next(actions, a.last, a.term(), now)
	wait := idle
	if !again.IsZero() {
		wait = again.Sub(now)
	}
	for _, action := range due {
		if a.underWay >= a.options.Concurrency {
			break // goes on when one ends
		}
		limiter := a.patches
		if action.Kind == Evict {
			limiter = a.evictions
		}
		if !limiter.AllowN(now, 1) {
			wait = min(wait, time.Duration(float64(time.Second)/float64(limiter.Limit())))
			continue
		}
		attempt := Attempt{Action: action}
		if before, ok := a.last[action.UID]; ok && before.Action.Kind == action.Kind {
			attempt.Failures = before.Failures
		}
		a.last[action.UID] = attempt
		a.underWay++
		start(action)
	}
	return wait
}

// term is the term in which this process may write now, "" where it may not.
func (a *Actor) term() string {
	if term, leading := a.options.Leading(); leading {
		return term
	}
	return ""
}

// note remembers and tells what became of an attempt. Of one that was not sent,
// because the term is over or nobody confirms it, nothing is told; it is not made
// again at once.
func (a *Actor) note(o Outcome) {
	a.underWay--
	if o.Result == "" {
		a.last[o.UID] = a.last[o.UID].end(o.At, Unanswered)
		return
	}
	a.last[o.UID] = a.last[o.UID].end(o.At, o.Result)
	a.journal.note(o)
	a.options.Done(o)
}

// attempt carries an action out. The result is "" where nothing was sent.
func (a *Actor) attempt(ctx context.Context, action Action) Outcome {
	began := time.Now()
	o := Outcome{Action: action}
	if err := a.confirm(ctx, action); err != nil {
		a.options.Log.Debug("the term is not confirmed: nothing is written on pods", "term", action.Term, "problem", err.Error())
		o.At = time.Now()
		return o
	}
	for i, r := range action.Requests() {
		if i > 0 && o.Result != action.second() {
			break
		}
		if !action.May(a.term(), time.Now()) {
			break
		}
		o.Result, o.Said = Judge(action.Kind, a.send(ctx, r))
		o.Deleted = action.Kind == Evict && i > 0 && o.Result == Done
	}
	o.At = time.Now()
	o.Took = o.At.Sub(began)
	return o
}

// confirm makes sure, before a stamp, that nobody else has led since it was planned.
func (a *Actor) confirm(ctx context.Context, action Action) error {
	ctx, cancel := context.WithTimeout(ctx, a.options.RequestTimeout)
	defer cancel()
	return a.confirmed.confirm(ctx, action)
}

// send sends one request, once: what is to be sent again is decided anew.
func (a *Actor) send(ctx context.Context, r Request) error {
	ctx, cancel := context.WithTimeout(ctx, a.options.RequestTimeout)
	defer cancel()
	request := a.options.Client.Verb(r.Method).Namespace(r.Namespace).Resource("pods").Name(r.Name).
		SetHeader("Content-Type", r.ContentType).Body(r.Body).
		MaxRetries(0).Throttle(flowcontrol.NewFakeAlwaysRateLimiter())
	if r.Subresource != "" {
		request = request.SubResource(r.Subresource)
	}
	answer := request.Do(ctx)
	if r.Subresource == "" {
		return answer.Error()
	}
	// A refusal may come as a Status that says so with the code of a success.
	_, err := answer.Get()
	return err
}
