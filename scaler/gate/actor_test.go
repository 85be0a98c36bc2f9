package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/kube"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
)

const me = "headroom-0_abc"

// stage is an API server, a planner whose plans a test writes, and an actor.
type stage struct {
	t       *testing.T
	server  *apiserver
	planner *scaler.Planner
	changed chan struct{}
	plan    atomic.Pointer[policy.WorkloadPlan]
	seen    atomic.Pointer[metrics.Fleet] // when the plan was written
	term    atomic.Pointer[string]        // in which it leads, "" where it doesn't

	mu       sync.Mutex
	outcomes []Outcome
	asked    int   // how often the term was to be confirmed
	over     error // why it is not
}

// confirm is the leader's, who is asked whether the term goes on.
func (s *stage) confirm(context.Context, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.over
}

func (s *stage) Use(policy.Set)           {}
func (s *stage) Changed() <-chan struct{} { return s.changed }
func (s *stage) Snapshot(policy.Group) policy.Snapshot {
	return policy.Snapshot{Epoch: me, Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{orders: metrics.Known(*s.seen.Load(), time.Now())}}
}

// fleet is the pods as they are.
func (s *stage) fleet() *metrics.Fleet {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	f := &metrics.Fleet{}
	for _, p := range s.server.pods {
		f.Pods = append(f.Pods, metrics.Pod{UID: string(p.UID), Name: p.Name, Version: p.ResourceVersion, Epoch: p.Annotations[kube.EpochAnnotation]})
	}
	return f
}

// set is a policy of one workload and its database.
func set() policy.Set {
	database := metrics.ID{Namespace: "shop", Name: "orders-db"}
	return policy.Set{
		Databases: []policy.Database{{ID: database}},
		Workloads: []policy.Workload{{ID: orders, Mode: policy.Gate, Databases: []policy.Use{{Database: database, ConnectionsPerPod: 5}}}},
	}
}

// play runs a test with an actor in its own time, and ends it.
func play(t *testing.T, server *apiserver, test func(*stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{t: t, server: server, changed: make(chan struct{}, 1)}
		s.plan.Store(&policy.WorkloadPlan{ID: orders})
		s.seen.Store(s.fleet())
		s.lead(me)
		s.planner = scaler.NewPlanner(scaler.PlannerOptions{
			Readings: s,
			Decide: func(now time.Time, _ policy.Group, _ policy.Snapshot, l policy.Ledger) (policy.Plan, policy.Ledger) {
				return policy.Plan{At: now, Workloads: []policy.WorkloadPlan{*s.plan.Load()}}, l
			},
		})
		s.planner.SetPolicy(set())
		actor := New(Options{
			Client: server.client(t), State: s.planner.State, Confirm: s.confirm,
			Leading: func() (string, bool) { return *s.term.Load(), *s.term.Load() != "" },
			Done: func(o Outcome) {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.outcomes = append(s.outcomes, o)
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { s.planner.Run(ctx) })
		running.Go(func() { actor.Run(ctx) })
		test(s)
		cancel()
		running.Wait()
	})
}

func (s *stage) lead(term string) { s.term.Store(&term) }

// want plans something and gives the actor a while for it.
func (s *stage) want(change func(*policy.WorkloadPlan)) {
	s.t.Helper()
	plan := policy.WorkloadPlan{ID: orders, Mode: policy.Gate}
	change(&plan)
	s.seen.Store(s.fleet())
	s.plan.Store(&plan)
	select {
	case s.changed <- struct{}{}:
	default:
	}
	s.pass(100 * time.Millisecond)
}

// pass lets time go by.
func (s *stage) pass(d time.Duration) {
	synctest.Wait()
	<-time.After(d)
	synctest.Wait()
}

// results returns what became of the attempts since the last time, in words.
func (s *stage) results() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, o := range s.outcomes {
		out = append(out, fmt.Sprintf("%s %s %s", o.Kind, o.Name, o.Result))
	}
	s.outcomes = nil
	slices.Sort(out)
	return out
}

func (s *stage) wants(what string, got []string, want ...string) {
	s.t.Helper()
	if !slices.Equal(got, want) {
		s.t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// admission lets a pod through as it is now.
func (s *stage) admission(name string) policy.Admission {
	p := s.server.get(name)
	return policy.Admission{UID: string(p.UID), Name: name, Version: p.ResourceVersion, Epoch: me, Grant: map[string]int{"shop/orders-db": 5}}
}

func (s *stage) stamp(name string) policy.Stamp {
	p := s.server.get(name)
	return policy.Stamp{UID: string(p.UID), Name: name, Version: p.ResourceVersion, Epoch: me}
}

func (s *stage) eviction(name string) policy.Eviction {
	p := s.server.get(name)
	return policy.Eviction{UID: string(p.UID), Name: name, Version: p.ResourceVersion, Reason: policy.Shed, Sentence: "too many"}
}

func TestAPodIsStampedAndAdmitted(t *testing.T) {
	play(t, newAPIServer("a", "b"), func(s *stage) {
		s.want(func(p *policy.WorkloadPlan) { p.Stamps = []policy.Stamp{s.stamp("a"), s.stamp("b")} })
		s.wants("stamped", s.results(), "Stamp a ok", "Stamp b ok")
		for _, name := range []string{"a", "b"} {
			if p := s.server.get(name); p.Annotations[kube.EpochAnnotation] != me || len(p.Annotations) != 1 || len(p.Spec.SchedulingGates) != 1 {
				t.Errorf("found %v, %v", p.Annotations, p.Spec.SchedulingGates)
			}
		}
		early := s.admission("a")
		s.want(func(p *policy.WorkloadPlan) { p.Admissions = []policy.Admission{early} })
		s.wants("admitted", s.results(), "Admit a ok")
		if p := s.server.get("a"); p.Annotations[kube.GrantAnnotation] != `{"shop/orders-db":5}` || len(p.Spec.SchedulingGates) != 0 {
			t.Errorf("found %v, %v", p.Annotations, p.Spec.SchedulingGates)
		}
		s.server.took()
		s.pass(4 * time.Second)
		s.wants("while plans repeat what was done", s.server.took())
		s.pass(2 * time.Second)
		s.wants("a watch that shows nothing is asked after all", s.results(), "Admit a stale")
	})
}

// A leader that was stopped may still believe that it leads: it asks before it writes
// its term, once for everything that was planned before.
func TestTheTermIsConfirmedBeforeStamps(t *testing.T) {
	play(t, newAPIServer("a", "b", "c"), func(s *stage) {
		both := func(p *policy.WorkloadPlan) { p.Stamps = []policy.Stamp{s.stamp("a"), s.stamp("b")} }
		s.over = errors.New("another one leads")
		s.want(both)
		s.wants("not confirmed", s.server.took())
		s.wants("nothing is told of it", s.results())
		s.pass(2 * time.Second)
		s.mu.Lock()
		if s.asked > 12 {
			t.Errorf("asked %d times in 2 s, of two pods", s.asked)
		}
		s.over, s.asked = nil, 0
		s.mu.Unlock()
		s.want(both)
		s.pass(5 * time.Second) // it is not asked again at once
		s.wants("confirmed", s.results(), "Stamp a ok", "Stamp b ok")
		if s.asked != 1 {
			t.Errorf("asked %d times, want once", s.asked)
		}
		s.want(func(p *policy.WorkloadPlan) { p.Admissions = []policy.Admission{s.admission("a")} })
		s.wants("an admission needs no confirmation", s.results(), "Admit a ok")
		if s.asked != 1 {
			t.Errorf("asked %d times, want once", s.asked)
		}
		stale := s.stamp("c")
		stale.Version = "1"
		s.want(func(p *policy.WorkloadPlan) { p.Stamps = []policy.Stamp{stale} })
		s.wants("written to since it was read", s.results(), "Stamp c stale")
		if s.asked != 2 {
			t.Errorf("asked %d times, want once more for what was planned later", s.asked)
		}
	})
}

func TestAPodWithoutAnnotationsIsAdmitted(t *testing.T) {
	play(t, newAPIServer("a"), func(s *stage) {
		s.want(func(p *policy.WorkloadPlan) { p.Admissions = []policy.Admission{s.admission("a")} })
		s.wants("admitted", s.results(), "Admit a ok")
		s.wants("by the second of two patches", s.server.took(), "PATCH a", "PATCH a")
		if p := s.server.get("a"); p.Annotations[kube.GrantAnnotation] != `{"shop/orders-db":5}` || len(p.Spec.SchedulingGates) != 0 {
			t.Errorf("found %v, %v", p.Annotations, p.Spec.SchedulingGates)
		}
	})
}

func TestWhoDoesNotLeadSendsNothing(t *testing.T) {
	play(t, newAPIServer("a", "b"), func(s *stage) {
		both := func(p *policy.WorkloadPlan) {
			p.Admissions = []policy.Admission{s.admission("a")}
			p.Stamps = []policy.Stamp{s.stamp("b")}
		}
		s.lead("")
		s.want(both)
		s.lead("headroom-0_of-a-later-term")
		s.want(both)
		s.wants("out of the plan's term", s.server.took())
		s.wants("nothing is told of it", s.results())
		s.lead(me)
		s.pass(time.Second) // the next plan
		s.wants("in it", s.results(), "Admit a ok", "Stamp b ok")
	})
}

// The lease is lost between the decision to send and the sending.
func TestLeadershipIsAskedForBeforeEachRequest(t *testing.T) {
	server := newAPIServer("a")
	play(t, server, func(s *stage) {
		server.before = func(r *http.Request, _ string) error {
			s.lead("") // while the eviction is refused
			return refuse(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "no", metav1.StatusCause{Type: policyv1.DisruptionBudgetCause})
		}
		s.want(func(p *policy.WorkloadPlan) {
			e := s.eviction("a")
			e.IgnoreDisruptionBudgets = true
			p.Evictions = []policy.Eviction{e}
		})
		s.wants("the deletion is not sent", s.server.took(), "POST a/eviction")
		s.wants("", s.results(), "Evict a blocked")
	})
}

func TestAnOldPlanIsNotActedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newAPIServer("a")
		s := &stage{t: t, server: server}
		now := time.Now()
		state := &scaler.State{At: now, Decisions: []scaler.Decision{{
			Snapshot: policy.Snapshot{Epoch: me},
			Plan:     policy.Plan{At: now.Add(-MaxPlanAge - 1), Workloads: []policy.WorkloadPlan{{ID: orders, Admissions: []policy.Admission{s.admission("a")}}}},
		}}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		New(Options{Client: server.client(t), State: func() *scaler.State { return state }, Leading: func() (string, bool) { return me, true }}).Run(ctx)
		s.wants("an old plan", server.took())
	})
}

func TestAHungRequestHoldsUpItsOwnPodAlone(t *testing.T) {
	server := newAPIServer("hangs", "b", "c")
	play(t, server, func(s *stage) {
		server.before = func(r *http.Request, pod string) error {
			if pod != "hangs" {
				return nil
			}
			<-r.Context().Done()
			return r.Context().Err()
		}
		first := s.admission("hangs")
		s.want(func(p *policy.WorkloadPlan) { p.Admissions = []policy.Admission{first, s.admission("b")} })
		s.wants("the others", s.results(), "Admit b ok")
		s.want(func(p *policy.WorkloadPlan) { p.Admissions = []policy.Admission{first, s.admission("c")} })
		s.wants("the others", s.results(), "Admit c ok")
		s.want(func(p *policy.WorkloadPlan) { p.Admissions = []policy.Admission{first} })
		s.server.took()
		s.pass(4 * time.Second)
		s.wants("one request at a time", s.server.took())
		server.mu.Lock()
		server.before = nil
		server.mu.Unlock()
		s.pass(2 * time.Second)
		s.wants("repeated once it is given up", s.results(), "Admit hangs ok", "Admit hangs unanswered")
	})
}

// The answer to an admission gets lost; where the pod no longer fits, it is
// stamped, and the same admission can't come true any more.
func TestAnAdmissionIsTakenBack(t *testing.T) {
	server := newAPIServer("a")
	play(t, server, func(s *stage) {
		s.want(func(p *policy.WorkloadPlan) { p.Stamps = []policy.Stamp{s.stamp("a")} })
		s.results()
		early := s.admission("a")
		server.before = func(*http.Request, string) error { return errors.New("connection reset") }
		s.want(func(p *policy.WorkloadPlan) { p.Admissions = []policy.Admission{early} })
		s.wants("not answered", s.results(), "Admit a unanswered")
		server.mu.Lock()
		server.before = nil
		server.mu.Unlock()
		s.want(func(p *policy.WorkloadPlan) {
			back := s.stamp("a")
			back.Epoch += "/" + early.Version
			p.Stamps = []policy.Stamp{back}
		})
		s.wants("taken back", s.results(), "Stamp a ok")
		if p := s.server.get("a"); p.ResourceVersion == early.Version || p.Annotations[kube.EpochAnnotation] != me+"/"+early.Version {
			t.Errorf("found version %s and %v", p.ResourceVersion, p.Annotations)
		}
		s.want(func(p *policy.WorkloadPlan) { p.Admissions = []policy.Admission{early} })
		s.wants("it comes late", s.results(), "Admit a stale")
	})
}

// What was done is not done again: the repetition is for a version that is gone, as a
// reading will show.
func TestALostAnswerIsRepeatedToNoEffect(t *testing.T) {
	server := newAPIServer("a")
	play(t, server, func(s *stage) {
		var once atomic.Bool
		server.lost = func(*http.Request, string) bool { return !once.Swap(true) }
		s.want(func(p *policy.WorkloadPlan) { p.Stamps = []policy.Stamp{s.stamp("a")} })
		s.wants("nothing yet", s.results())
		s.pass(6 * time.Second)
		s.wants("asked twice", s.results(), "Stamp a stale", "Stamp a unanswered")
	})
}

func TestEvictionsAndBudgets(t *testing.T) {
	server := newAPIServer("a", "b", "gone")
	play(t, server, func(s *stage) {
		said := "The disruption budget orders needs 2 healthy pods and has 2 currently"
		server.before = func(r *http.Request, pod string) error {
			if r.Method == http.MethodPost && pod != "gone" {
				return refuse(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "Cannot evict pod as it would violate the pod's disruption budget.",
					metav1.StatusCause{Type: policyv1.DisruptionBudgetCause, Message: said})
			}
			return nil
		}
		evictions := []policy.Eviction{s.eviction("a"), s.eviction("b"), s.eviction("gone")}
		evictions[1].IgnoreDisruptionBudgets = true
		server.mu.Lock()
		delete(server.pods, "gone")
		server.mu.Unlock()
		s.want(func(p *policy.WorkloadPlan) { p.Evictions = evictions })
		s.mu.Lock()
		for _, o := range s.outcomes {
			if o.Name == "a" && !strings.HasSuffix(o.Said, ": "+said) || o.Name == "b" && !o.Deleted || o.Name == "a" && o.Deleted || o.Reason != policy.Shed {
				t.Errorf("found %+v", o)
			}
		}
		s.mu.Unlock()
		s.wants("each by its own", s.results(), "Evict a blocked", "Evict b ok", "Evict gone gone")
		s.server.took()
		s.pass(4 * time.Second)
		s.wants("a budget is asked every few seconds", s.server.took())
		s.pass(2 * time.Second)
		if got := s.server.took(); !slices.Contains(got, "POST a/eviction") {
			t.Errorf("a budget is asked again: found %v", got)
		}
	})
}

func TestEvictionsAreBounded(t *testing.T) {
	var names []string
	for i := range 35 {
		names = append(names, fmt.Sprintf("pod-%02d", i))
	}
	play(t, newAPIServer(names...), func(s *stage) {
		evict := func(p *policy.WorkloadPlan) {
			for _, name := range names {
				if s.server.get(name).UID != "" {
					p.Evictions = append(p.Evictions, s.eviction(name))
				}
			}
		}
		s.want(evict)
		if got := len(s.results()); got < 10 || got > 12 {
			t.Errorf("%d evictions at once, want 10", got)
		}
		for range 9 {
			s.want(evict)
		}
		if got := len(s.results()); got < 8 || got > 11 {
			t.Errorf("%d evictions in the rest of a second, want 10", got)
		}
		for range 30 {
			s.want(evict)
		}
		if got := len(s.results()); got != 35-20 && got > 16 {
			t.Errorf("%d more, want the rest", got)
		}
		if left := len(s.fleet().Pods); left != 0 {
			t.Errorf("%d pods are left", left)
		}
	})
}

func TestRunGivesUpWhatIsUnderWay(t *testing.T) {
	server := newAPIServer("hangs")
	var gaveUp atomic.Bool
	play(t, server, func(s *stage) {
		server.before = func(r *http.Request, _ string) error {
			<-r.Context().Done()
			gaveUp.Store(true)
			return r.Context().Err()
		}
		s.want(func(p *policy.WorkloadPlan) { p.Admissions = []policy.Admission{s.admission("hangs")} })
	})
	if !gaveUp.Load() {
		t.Error("a request outlived Run")
	}
}

func TestJudge(t *testing.T) {
	vap := metav1.StatusCause{Message: "ValidatingAdmissionPolicy 'gate' denied request"}
	for name, c := range map[string]struct {
		kind Kind
		err  error
		want Result
	}{
		"no error":               {Admit, nil, Done},
		"the network":            {Admit, errors.New("connection refused"), Unanswered},
		"a deadline":             {Admit, context.DeadlineExceeded, Unanswered},
		"no such pod":            {Stamp, status(404), Gone},
		"a conflict":             {Evict, status(409), Stale},
		"a patch fails its test": {Admit, status(422), Stale},
		"a patch is invalid":     {Admit, status(422, metav1.StatusCause{Field: "spec.schedulingGates"}), Denied},
		"a policy says no":       {Admit, status(422, vap), Denied},
		"a policy forbids":       {Stamp, status(403, vap), Denied},
		"another uid":            {Stamp, status(422, metav1.StatusCause{Field: "metadata.uid"}), Stale},
		"a stamp is invalid":     {Stamp, status(422, metav1.StatusCause{Field: "metadata.annotations"}), Denied},
		"not logged in":          {Evict, status(401), Denied},
		"a budget":               {Evict, status(429, metav1.StatusCause{Type: policyv1.DisruptionBudgetCause}), Blocked},
		"too much is asked":      {Evict, status(429), Failed},
		"it gave up":             {Admit, status(504), Unanswered},
		"it is overloaded":       {Admit, status(503), Unanswered},
		"a mistake":              {Admit, status(500), Failed},
	} {
		if got, said := Judge(c.kind, c.err); got != c.want || (said == "") != (c.err == nil) {
			t.Errorf("%s: found %s %q, want %s", name, got, said, c.want)
		}
	}
	for _, r := range []Result{Done, Stale, Gone, Blocked, Denied, Unanswered, Failed} {
		if !slices.Contains(Results, r) {
			t.Errorf("%s is missing in Results", r)
		}
	}
}

func status(code int32, causes ...metav1.StatusCause) error {
	return &apierrors.StatusError{ErrStatus: refuse(code, "", "no", causes...).Status}
}
