package events

import (
	"context"
	"sync"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/gate"
)

// Reasons of events.
const (
	TargetLimited            = "TargetLimited"
	TargetRecovered          = "TargetRecovered"
	ConnectionsUnderdeclared = "ConnectionsUnderdeclared"
	CapBypassed              = "CapBypassed"
	ObjectiveUnreachable     = "ObjectiveUnreachable"
	DatabaseUnreachable      = "DatabaseUnreachable"
	DatabaseShared           = "DatabaseShared" // another installation governs it too
	PolicyAccepted           = "PolicyAccepted"
	PolicyRejected           = "PolicyRejected"
	PolicyConflict           = "PolicyConflict"

	WaitingForConnections        = "WaitingForConnections"
	ConnectionsReserved          = "ConnectionsReserved"
	EvictedToFreeConnections     = "EvictedToFreeConnections"
	EvictionBlocked              = "EvictionBlocked"
	PodsReadyTimeout             = "PodsReadyTimeout"
	RolloutWaitingForConnections = "RolloutWaitingForConnections"
)

// What an event says was done.
const (
	actionDecide = "Decide"
	actionRead   = "Read"
	actionJudge  = "Judge"
	actionAdmit  = "Admit"
	actionEvict  = "Evict"
)

// Bounds of what is told.
const (
	// lasts is how long a state has to last to be told.
	lasts = 5 * time.Second
	// again is the shortest time between two events of one reason on one object.
	again = time.Minute
	// hpaFollows is how long the HPA may take to follow a target, beside its
	// stabilization: two syncs, and a while to act.
	hpaFollows = 45 * time.Second
	// maxNote is how long the API server lets a note be, in bytes.
	maxNote = 1024
)

// Recorder sends events: client-go's events.EventRecorder.
type Recorder interface {
	Eventf(regarding runtime.Object, related runtime.Object, eventtype, reason, action, note string, args ...any)
}

// Options of [New]. Recorder is required.
type Options struct {
	Recorder Recorder
	// Workload returns the object that KEDA scales a workload by, and false while
	// it is not known. nil knows none.
	Workload func(w policy.Workload) (*corev1.ObjectReference, bool)
}

// Publisher tells what changed. Make one with [New].
type Publisher struct {
	options Options

	mu        sync.Mutex
	documents map[string]judged // by place of the input
	described map[metrics.ID]*corev1.ObjectReference
	outcomes  []gate.Outcome // not told yet

	// Used by follow alone.
	workloads map[metrics.ID]*workload
	databases map[metrics.ID]*episode
}

// New returns a publisher that has told nothing.
func New(options Options) *Publisher {
	if options.Workload == nil {
		options.Workload = func(policy.Workload) (*corev1.ObjectReference, bool) { return nil, false }
	}
	return &Publisher{
		options: options, described: map[metrics.ID]*corev1.ObjectReference{},
		workloads: map[metrics.ID]*workload{}, databases: map[metrics.ID]*episode{},
	}
}

// Run follows the states until ctx ends. What is slow to be told skips states and
// makes nobody wait.
func (p *Publisher) Run(ctx context.Context, state func() *scaler.State) {
	for {
		current := state()
		if current.Planned() {
			p.follow(current)
		}
		select {
		case <-ctx.Done():
			return
		case <-current.Next():
		}
	}
}

// tell sends an event with a sentence.
func (p *Publisher) tell(about *corev1.ObjectReference, kind, reason, action, sentence string) {
	p.options.Recorder.Eventf(about, nil, kind, reason, action, "%s", cut(sentence))
}

// cut shortens a sentence to what a note may hold.
func cut(sentence string) string {
	if len(sentence) <= maxNote {
		return sentence
	}
	end := maxNote - len("…")
	for !utf8.RuneStart(sentence[end]) {
		end--
	}
	return sentence[:end] + "…"
}

// episode is one thing that is so for a while.
type episode struct {
	since time.Time // zero while it is not so
	told  time.Time // when it was told last
	open  bool      // it was told, and is so still
}

// due notes whether it is so at now, and reports whether that is to be told.
func (e *episode) due(now time.Time, is bool, after time.Duration) bool {
	if !is {
		e.since, e.open = time.Time{}, false
		return false
	}
	if e.since.IsZero() {
		e.since = now
	}
	if e.open || now.Sub(e.since) < after || now.Sub(e.told) < again {
		return false
	}
	e.open, e.told = true, now
	return true
}
