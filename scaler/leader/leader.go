package leader

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"

	"github.com/keda-headroom/headroom/metrics/kube"
)

// Defaults of [Options].
const (
	DefaultLeaseName     = "headroom"
	DefaultLeaseDuration = 15 * time.Second
	DefaultRenewDeadline = 10 * time.Second
	DefaultRetryPeriod   = 2 * time.Second
)

// Watched is what is known of all pods; [kube.Cluster] is.
type Watched interface {
	// ListPods asks for all pods by a quorum read.
	ListPods(ctx context.Context) ([]kube.PodRef, error)
	// Absent returns those of listed that are not known. It must not wait.
	Absent(listed []kube.PodRef) []kube.PodRef
}

// Options of [New]. Client, Watched, Namespace and Pod are required.
type Options struct {
	Client  kubernetes.Interface
	Watched Watched
	// Namespace is Headroom's own, where the lease and its pods are.
	Namespace string
	// Pod is the name of this process's pod, which may be any name that no other
	// candidate has where there is no pod.
	Pod string

	// Alone leads at once and for ever, without a lease. It is for who runs one
	// Headroom only: two that lead alone would each promise what the other did.
	Alone bool
	// LeaseName names the lease, "" for the default.
	LeaseName string
	// LeaseDuration is how long others wait for a leader that they don't hear of,
	// in whole seconds; RenewDeadline is how long after its last renewal began a
	// leader acts, and RetryPeriod how often everybody looks at the lease. 0 stands
	// for the defaults. RetryPeriod × 1.2 < RenewDeadline < LeaseDuration.
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration

	// Unanswered is told when the API server did not answer in time: the
	// connection may be dead, and is better closed. nil tells nobody.
	Unanswered func()
	// Log is told of every change of who leads; nil logs nothing.
	Log *slog.Logger
}

// Validate says what can't be right.
func (o Options) Validate() error {
	switch retry := time.Duration(leaderelection.JitterFactor * float64(o.RetryPeriod)); {
	case o.LeaseDuration < time.Second || o.LeaseDuration%time.Second != 0:
		return fmt.Errorf("the lease duration: expected whole seconds, found %s", o.LeaseDuration)
	case o.RetryPeriod <= 0:
		return fmt.Errorf("the retry period: expected more than 0, found %s", o.RetryPeriod)
	case o.RenewDeadline <= retry:
		return fmt.Errorf("the renew deadline: expected more than %v times the retry period of %s, found %s", leaderelection.JitterFactor, o.RetryPeriod, o.RenewDeadline)
	case o.LeaseDuration <= o.RenewDeadline:
		return fmt.Errorf("the lease duration: expected more than the renew deadline of %s, found %s", o.RenewDeadline, o.LeaseDuration)
	}
	return nil
}

// Leader is a candidate, or leads. Make one with [New], then Run it. Its other
// methods may be called at any time from anywhere.
type Leader struct {
	options Options
	log     *slog.Logger

	term   atomic.Pointer[term]   // the present candidacy; nil before the first
	holder atomic.Pointer[string] // who was last seen to hold the lease
	led    chan struct{}          // closed with the first term
	once   sync.Once              // of led
	ours   sync.Map               // identities of earlier terms of this process
}

// New returns a Leader that is no candidate yet. It talks to nobody.
func New(options Options) (*Leader, error) {
	options.LeaseName = cmp.Or(options.LeaseName, DefaultLeaseName)
	options.LeaseDuration = cmp.Or(options.LeaseDuration, DefaultLeaseDuration)
	options.RenewDeadline = cmp.Or(options.RenewDeadline, DefaultRenewDeadline)
	options.RetryPeriod = cmp.Or(options.RetryPeriod, DefaultRetryPeriod)
	if options.Unanswered == nil {
		options.Unanswered = func() {}
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case options.Client == nil || options.Watched == nil:
		return nil, errors.New("leader: expected a client and what is watched, found one of them missing")
	case options.Namespace == "" || options.Pod == "":
		return nil, fmt.Errorf("leader: expected a namespace and a pod's name, found %q and %q", options.Namespace, options.Pod)
	}
	if err := options.Validate(); err != nil && !options.Alone {
		return nil, fmt.Errorf("leader: %w", err)
	}
	return &Leader{options: options, log: options.Log, led: make(chan struct{})}, nil
}

// Led is closed when this process leads for the first time.
func (l *Leader) Led() <-chan struct{} { return l.led }

// Epoch returns the term in which this process leads, once its takeover is done.
// ok is false where it doesn't lead, and where the last renewal that succeeded
// began RenewDeadline ago or longer, by the monotonic clock: others may soon take
// the lease for free.
func (l *Leader) Epoch() (epoch string, ok bool) {
	epoch, _, ok = l.Term()
	return epoch, ok
}

// Term is Epoch, with the time at which the takeover was done: whatever is read
// from then on knows every pod that an earlier leader let through.
func (l *Leader) Term() (epoch string, since time.Time, ok bool) {
	t := l.term.Load()
	if t == nil {
		return "", time.Time{}, false
	}
	ready := t.ready.Load()
	if ready == nil || !t.fresh() {
		return "", time.Time{}, false
	}
	return t.identity, *ready, true
}

// Leading reports whether this process leads, its takeover done or not.
func (l *Leader) Leading() bool {
	t := l.term.Load()
	return t != nil && t.fresh()
}

// Holder names the pod that was last seen to lead; "" where none was.
func (l *Leader) Holder() string {
	if h := l.holder.Load(); h != nil {
		return podOf(*h)
	}
	return ""
}

// Confirm asks the API server itself whether the term epoch goes on: whether the
// lease was this term's from its beginning until after Confirm was called. Then
// whatever another term wrote before that is from an earlier one.
func (l *Leader) Confirm(ctx context.Context, epoch string) error {
	t := l.term.Load()
	if t == nil || t.identity != epoch {
		return fmt.Errorf("the term %s is over", epoch)
	}
	return t.confirm(ctx)
}

// Lost is the error of [Leader.Run] where another one leads by now.
type Lost struct {
	// Holder is the pod that leads.
	Holder string
}

// Error says so.
func (e *Lost) Error() string {
	return fmt.Sprintf("lost the lead to %s: ending, to begin anew as a follower", e.Holder)
}

// Run is a candidate, and leads when it is its turn, until ctx ends; then it lets
// go of the lease, so that another one leads soon, and returns nil. Whoever ends
// ctx has to have stopped before whatever acts under the epoch. It returns [*Lost]
// as soon as it is seen that another one leads, after this one did. It is called
// once.
func (l *Leader) Run(ctx context.Context) error {
	for {
		err := l.candidacy(ctx)
		if lost := (*Lost)(nil); errors.As(err, &lost) {
			l.log.Error("another one leads", "leader", lost.Holder)
			return lost
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end that was asked for, and what broke off by it
		}
		if err != nil {
			return err
		}
	}
}

// candidacy is one term, from its first look at the lease to its end.
func (l *Leader) candidacy(ctx context.Context) error {
	t, err := l.newTerm(ctx)
	if err != nil {
		return err
	}
	defer t.end(nil)
	l.term.Store(t)

	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() {
		select {
		case <-t.acquired:
			l.lead(t)
		case <-t.ctx.Done():
		}
	})
	if l.options.Alone {
		t.acquire(time.Now())
		<-t.ctx.Done()
	} else if err := t.elect(); err != nil {
		return err
	}
	t.end(nil)
	running.Wait()
	l.ours.Store(t.identity, true)
	var lost *Lost
	if errors.As(context.Cause(t.ctx), &lost) {
		return lost
	}
	return nil
}

// lead is everything that a leader does by itself, until its term is over.
func (l *Leader) lead(t *term) {
	l.log.Info("leading", "term", t.identity)
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { l.publish(t) })
	running.Go(func() { l.takeOver(t) })
}

// elect runs client-go's election until the term is over.
func (t *term) elect() error {
	o := t.leader.options
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: t, Name: o.LeaseName,
		LeaseDuration: o.LeaseDuration, RenewDeadline: o.RenewDeadline, RetryPeriod: o.RetryPeriod,
		ReleaseOnCancel: true, // the lock lets it happen in an orderly end only
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) {}, // the lock knows before
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return fmt.Errorf("leader election: %w", err)
	}
	// Its lines are for who looks for a fault in it.
	quiet := logr.FromSlogHandler(debug{t.leader.log.Handler()})
	elector.Run(klog.NewContext(t.ctx, quiet))
	return nil
}

func (l *Leader) newTerm(ctx context.Context) (*term, error) {
	random := make([]byte, 4)
	if _, err := rand.Read(random); err != nil {
		return nil, fmt.Errorf("leader: %w", err)
	}
	t := &term{leader: l, identity: l.options.Pod + "_" + hex.EncodeToString(random), acquired: make(chan struct{}), run: ctx}
	t.ctx, t.end = context.WithCancelCause(ctx)
	t.lock = &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: l.options.Namespace, Name: l.options.LeaseName},
		Client:     l.options.Client.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: t.identity},
	}
	return t, nil
}

// podOf is the pod of an identity.
func podOf(identity string) string {
	if i := strings.LastIndexByte(identity, '_'); i >= 0 {
		return identity[:i]
	}
	return identity
}
