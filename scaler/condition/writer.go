package condition

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/gate"
)

// DefaultRate is how many requests there may be in a second.
const DefaultRate = 10

const (
	// requestTimeout is how long a request may take.
	requestTimeout = 5 * time.Second
	// look is the longest time between two looks at what is to be written.
	look = time.Second
)

// Options of [New]. Client, State and Leading are required.
type Options struct {
	// Client reaches the core API: clientset.CoreV1().RESTClient().
	Client rest.Interface
	// State returns the latest state: the planner's. It must not wait.
	State func() *scaler.State
	// Leading returns the term in which this process leads, and whether it may
	// write now. It is asked right before each request and must not wait.
	Leading func() (epoch string, ok bool)
	// Done is told how each request ended. nil tells nobody.
	Done func(gate.Result)
	// Log gets one line while conditions can't be written. nil logs nothing.
	Log *slog.Logger
	// Rate is [DefaultRate] where it is 0.
	Rate int
}

// Writer writes conditions. Make one with [New], then Run it.
type Writer struct {
	options Options
	limiter *rate.Limiter

	mu     sync.Mutex
	passed map[string]time.Time // when pods passed the gate, by UID

	// Used by Run alone.
	last    map[string]told
	problem string
}

// New returns a writer that has told nobody anything.
func New(options Options) *Writer {
	if options.Done == nil {
		options.Done = func(gate.Result) {}
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.Rate <= 0 {
		options.Rate = DefaultRate
	}
	return &Writer{
		options: options, limiter: rate.NewLimiter(rate.Limit(options.Rate), options.Rate),
		passed: map[string]time.Time{}, last: map[string]told{},
	}
}

// Outcome notes when a pod passed the gate. It may be called from anywhere and
// does not wait; it goes into [gate.Options].
func (w *Writer) Outcome(o gate.Outcome) {
	if o.Kind == gate.Admit && o.Result == gate.Done {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.passed[o.UID] = o.At
	}
}

// Run writes until ctx ends, one condition after the other. It is called once.
func (w *Writer) Run(ctx context.Context) {
	for {
		state := w.options.State()
		wait := look
		if next, found := w.next(state, time.Now()); found {
			if reserved := w.limiter.Reserve(); reserved.Delay() > 0 {
				wait = reserved.Delay()
				reserved.Cancel()
			} else {
				w.write(ctx, next)
				wait = 0
			}
		}
		if wait == 0 && ctx.Err() == nil {
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// next is what is to be written first, by a state that is the latest.
func (w *Writer) next(state *scaler.State, now time.Time) (Write, bool) {
	term, leading := w.options.Leading()
	if !leading {
		return Write{}, false
	}
	var wanted []Write
	there := map[string]bool{}
	for _, d := range state.Decisions {
		for _, fleet := range d.Snapshot.Fleets {
			f, _ := fleet.Last()
			for _, p := range f.Pods {
				there[p.UID] = true
			}
		}
		for _, write := range Wanted(d.Plan, d.Snapshot) {
			if write.Term == term && now.Sub(write.Planned) <= gate.MaxPlanAge {
				wanted = append(wanted, write)
			}
		}
	}
	w.forget(there, now)
	list := due(wanted, w.last, now)
	if len(list) == 0 {
		return Write{}, false
	}
	first := list[0]
	if first.Condition.Status == corev1.ConditionTrue {
		w.mu.Lock()
		first.Condition.Since = w.passed[first.UID]
		w.mu.Unlock()
	}
	return first, true
}

// forget drops what is known of pods that aren't there any more.
func (w *Writer) forget(there map[string]bool, now time.Time) {
	for uid := range w.last {
		if !there[uid] {
			delete(w.last, uid)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for uid, at := range w.passed {
		if !there[uid] && now.Sub(at) > again { // later than a reading that may not show it yet
			delete(w.passed, uid)
		}
	}
}

func (w *Writer) write(ctx context.Context, write Write) {
	if term, leading := w.options.Leading(); !leading || term != write.Term {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	err := w.options.Client.Patch(types.StrategicMergePatchType).Namespace(write.Namespace).Resource("pods").Name(write.Name).
		SubResource("status").Body(write.patch()).MaxRetries(0).Throttle(flowcontrol.NewFakeAlwaysRateLimiter()).Do(ctx).Error()
	result, said := gate.Judge(gate.Stamp, err)
	failed := false
	switch result {
	case gate.Done, gate.Gone, gate.Stale: // of one that is gone there is nothing to tell
		w.problem = ""
	case gate.Denied, gate.Unanswered, gate.Failed, gate.Blocked:
		failed = true
		if w.problem == "" {
			w.options.Log.Warn("a pod's condition can't be written", "pod", write.Namespace+"/"+write.Name, "said", said)
		}
		w.problem = said
	}
	w.last[write.UID] = told{condition: write.Condition, at: time.Now(), failed: failed}
	w.options.Done(result)
}
