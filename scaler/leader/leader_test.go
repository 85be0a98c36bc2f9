package leader

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/kube"
)

const namespace = "headroom"

// candidate is one Headroom that wants to lead.
type candidate struct {
	*Leader
	network *network
	stop    context.CancelFunc
	ended   chan error // gets what Run returned
}

// run starts a candidate, which ends with the test.
func (s *apiServer) run(t *testing.T, pod string, change ...func(*Options)) *candidate {
	t.Helper()
	n := &network{server: s}
	options := Options{
		Client: client{s.pods, n}, Watched: &watch{}, Namespace: namespace, Pod: pod,
	}
	for _, c := range change {
		c(&options)
	}
	l, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	c := &candidate{Leader: l, network: n, stop: stop, ended: make(chan error, 1)}
	done := make(chan struct{})
	go func() { defer close(done); c.ended <- l.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return c
}

// after lets time pass.
func after(d time.Duration) {
	pause(context.Background(), d)
	synctest.Wait()
}

// epoch is the candidate's, which has to lead.
func (c *candidate) epoch(t *testing.T) string {
	t.Helper()
	epoch, ok := c.Epoch()
	if !ok {
		t.Fatalf("%s doesn't lead; the lease is %q's", c.options.Pod, c.network.server.holder())
	}
	return epoch
}

func (c *candidate) follows(t *testing.T) {
	t.Helper()
	if epoch, ok := c.Epoch(); ok {
		t.Fatalf("%s leads as %q", c.options.Pod, epoch)
	}
}

// lost is what Run has to have returned.
func (c *candidate) lost(t *testing.T, to string) {
	t.Helper()
	select {
	case err := <-c.ended:
		var lost *Lost
		if !errors.As(err, &lost) || lost.Holder != to || !strings.Contains(err.Error(), "lost the lead to "+to) {
			t.Fatalf("%s ended with %v, want the lead lost to %s", c.options.Pod, err, to)
		}
	default:
		t.Fatalf("%s still runs", c.options.Pod)
	}
	c.follows(t)
}

func (c *candidate) runs(t *testing.T) {
	t.Helper()
	select {
	case err := <-c.ended:
		t.Fatalf("%s ended: %v", c.options.Pod, err)
	default:
	}
}

func TestOneLeadsAndTheOtherFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPIServer(t)
		a := s.run(t, "headroom-a")
		after(time.Second)
		b := s.run(t, "headroom-b")
		<-a.Led()
		epoch := a.epoch(t)
		if !regexp.MustCompile(`^headroom-a_[0-9a-f]{8}$`).MatchString(epoch) || s.holder() != epoch {
			t.Errorf("the term is %q, and the lease is %q's", epoch, s.holder())
		}
		for range 100 {
			after(time.Second)
			if got := a.epoch(t); got != epoch {
				t.Fatalf("the term became %q, was %q", got, epoch)
			}
			b.follows(t)
		}
		select {
		case <-b.Led():
			t.Error("the follower was told that it leads")
		default:
		}
		if got := b.Holder(); got != "headroom-a" {
			t.Errorf("the follower names %q as the leader", got)
		}
		if err := a.Confirm(t.Context(), epoch); err != nil {
			t.Error(err)
		}
		if err := b.Confirm(t.Context(), epoch); err == nil {
			t.Error("the follower confirms the leader's term as its own")
		}
	})
}

func TestAnOrderlyEndHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPIServer(t)
		a := s.run(t, "headroom-a")
		after(time.Second)
		b := s.run(t, "headroom-b")
		after(10 * time.Second)
		a.epoch(t)
		a.stop()
		if err := <-a.ended; err != nil {
			t.Fatal(err)
		}
		a.follows(t)
		if s.holder() != "" {
			t.Errorf("the lease is still %q's", s.holder())
		}
		began := time.Now()
		<-b.Led()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the handover took %s", took)
		}
		after(time.Second)
		b.epoch(t)
	})
}

func TestAVanishedLeaderIsFollowedAfterTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPIServer(t)
		a := s.run(t, "headroom-a")
		after(time.Second)
		b := s.run(t, "headroom-b")
		after(10 * time.Second)
		a.epoch(t)
		a.network.set(func(n *network) { n.deaf = true })
		began := time.Now()
		<-b.Led()
		// It may have seen the last renewal a look late, and see that the lease ran out
		// another look late: client-go looks every RetryPeriod and up to JitterFactor more.
		look := time.Duration(float64(DefaultRetryPeriod) * (1 + leaderelection.JitterFactor))
		least, most := DefaultLeaseDuration-look, DefaultLeaseDuration+2*look
		if took := time.Since(began); took < least || took > most {
			t.Errorf("the other one led after %s, want %s to %s", took, least, most)
		}
		a.follows(t)
		a.runs(t) // it knows of nobody
		a.network.set(func(n *network) { n.deaf = false })
		after(12 * time.Second) // a request that is lost, and the next look
		a.lost(t, "headroom-b")
		b.epoch(t)
	})
}

// A renewal counts from when it began: whoever waits for the lease to run out may
// have seen it that early.
func TestALateAnswerCountsFromItsQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPIServer(t)
		a := s.run(t, "headroom-a")
		after(time.Second)
		a.epoch(t)
		a.network.set(func(n *network) { n.back = 4 * time.Second })
		after(2 * time.Second)
		// Under way is a renewal that began at 2 s and is answered at 6 s. The next
		// begins at 8 s, and is lost.
		after(4 * time.Second)
		a.network.set(func(n *network) { n.deaf = true })
		renewed := *a.term.Load().renewed.Load()
		if age := time.Since(renewed); age < 4*time.Second {
			t.Fatalf("the last renewal began %s ago, want its question's 4 s and more", age)
		}
		after(DefaultRenewDeadline - time.Since(renewed) - time.Millisecond)
		a.epoch(t)
		after(time.Millisecond)
		a.follows(t)
		a.runs(t)
	})
}

func TestAnAPIServerThatIsAwayIsNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPIServer(t)
		var closed atomic.Int64
		a := s.run(t, "headroom-a", func(o *Options) { o.Unanswered = func() { closed.Add(1) } })
		after(5 * time.Second)
		first := a.epoch(t)
		a.network.set(func(n *network) { n.deaf = true })
		after(DefaultRenewDeadline)
		for range 300 {
			a.follows(t)
			a.runs(t)
			after(time.Second)
		}
		if closed.Load() == 0 {
			t.Error("nobody was told that the API server doesn't answer")
		}
		a.network.set(func(n *network) { n.deaf = false })
		after(10 * time.Second) // less than the lease: nobody waits for oneself
		second := a.epoch(t)
		if first == second {
			t.Errorf("the lease was acquired again in the same term, %s", first)
		}
		if err := a.Confirm(t.Context(), first); err == nil {
			t.Error("the earlier term is confirmed")
		}
		if err := a.Confirm(t.Context(), second); err != nil {
			t.Error(err)
		}
	})
}

func TestALostAnswerIsNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPIServer(t)
		a := s.run(t, "headroom-a", func(o *Options) {})
		after(time.Second)
		first := a.epoch(t)
		a.network.set(func(n *network) { n.mute = true })
		after(3 * time.Second)
		a.network.set(func(n *network) { n.mute = false })
		for range 30 {
			after(time.Second)
			if got := a.epoch(t); got != first {
				t.Fatalf("the term became %q, was %q", got, first)
			}
		}
	})
}

func TestALeaseThatIsDeletedEndsTheTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPIServer(t)
		a := s.run(t, "headroom-a")
		after(time.Second)
		first := a.epoch(t)
		s.remove()
		after(10 * time.Second)
		a.runs(t)
		if second := a.epoch(t); second == first {
			t.Errorf("the term goes on over the deletion of its lease")
		}

		// Where another one is faster, it leads.
		b := s.run(t, "headroom-b")
		after(5 * time.Second)
		a.network.set(func(n *network) { n.there = 4 * time.Second })
		s.remove()
		after(20 * time.Second)
		b.epoch(t)
		a.lost(t, "headroom-b")
	})
}

func TestALeaseThatIsWrittenByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPIServer(t)
		a := s.run(t, "headroom-a")
		after(time.Second)
		first := a.epoch(t)
		s.change("") // released by somebody else
		after(5 * time.Second)
		a.runs(t)
		second := a.epoch(t)
		if second == first {
			t.Error("the term goes on over a release of its lease")
		}
		s.change("headroom-z_12345678")
		if err := a.Confirm(t.Context(), second); err == nil || !strings.Contains(err.Error(), "headroom-z_12345678") {
			t.Errorf("expected the term not to be confirmed, found %v", err)
		}
		after(time.Millisecond) // Confirm saw it
		a.lost(t, "headroom-z")
	})
	synctest.Test(t, func(t *testing.T) {
		s := newAPIServer(t)
		a := s.run(t, "headroom-a")
		after(time.Second)
		a.epoch(t)
		s.change("headroom-z_12345678")
		after(3 * time.Second) // the next renewal sees it
		a.lost(t, "headroom-z")
		if got := s.holder(); got != "headroom-z_12345678" {
			t.Errorf("the lease became %q's", got)
		}
	})
}

func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPIServer(t)
		a := s.run(t, "headroom-a", func(o *Options) { o.Alone = true })
		<-a.Led()
		after(time.Hour)
		epoch := a.epoch(t)
		if err := a.Confirm(t.Context(), epoch); err != nil {
			t.Error(err)
		}
		if s.holder() != "" {
			t.Errorf("the lease is %q's", s.holder())
		}
		a.stop()
		if err := <-a.ended; err != nil {
			t.Error(err)
		}
		a.follows(t)
	})
}

// However requests and answers are delayed and lost, no two have an epoch at the
// same time, as long as their clocks run alike. Nothing rests on it: see doc.go.
func TestNoTwoAtATime(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 0)) // a schedule, which has to repeat
				s := newAPIServer(t)
				all := make([]*candidate, 3)
				start := func(i int) {
					all[i] = s.run(t, fmt.Sprintf("headroom-%d", i))
					faults := rand.New(rand.NewPCG(seed, random.Uint64()))
					all[i].network.set(func(n *network) { n.faults = faults })
				}
				for i := range all {
					start(i)
				}
				terms, led := map[string]int{}, 0
				for range 3000 { // 10 minutes
					after(200 * time.Millisecond)
					leaders := 0
					for i, c := range all {
						if epoch, ok := c.Epoch(); ok {
							terms[epoch] = i
							leaders++
						}
						select {
						case err := <-c.ended:
							var lost *Lost
							if !errors.As(err, &lost) {
								t.Fatal(err)
							}
							start(i) // as a container does
						default:
						}
					}
					if leaders > 1 {
						t.Fatalf("%d lead at the same time", leaders)
					}
					led += leaders
					switch i := random.IntN(len(all)); random.IntN(200) {
					case 0:
						all[i].network.set(func(n *network) { n.deaf = true })
					case 1:
						all[i].network.set(func(n *network) { n.mute = true })
					case 2, 3, 4, 5:
						all[i].network.set(func(n *network) { n.deaf, n.mute = false, false })
					}
				}
				if len(terms) < 2 || led < 300 {
					t.Errorf("%d terms, %d of 3000 looks found a leader: nothing was tried", len(terms), led)
				}
			})
		})
	}
}

func pod(name string, labels map[string]string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-" + name), Labels: labels}}
}

func TestTheTakeoverWaitsForWhatIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ref := func(name string) kube.PodRef {
			return kube.PodRef{ID: metrics.ID{Namespace: "shop", Name: name}, UID: "uid-" + name}
		}
		s := newAPIServer(t, pod("headroom-a", nil))
		w := &watch{listed: []kube.PodRef{ref("late"), ref("gone"), ref("known")}, unseen: map[string]bool{"uid-late": true, "uid-gone": true}}
		a := s.run(t, "headroom-a", func(o *Options) { o.Watched = w })
		<-a.Led()
		after(5 * time.Second)
		a.follows(t)
		if !a.Leading() {
			t.Error("expected it to hold the lease")
		}
		// One is gone before it was ever watched, others come, and are no matter.
		w.set(func(w *watch) {
			w.listed = []kube.PodRef{ref("new"), ref("late"), ref("known")}
			w.unseen["uid-new"] = true
		})
		after(5 * time.Second)
		a.follows(t)
		seen := time.Now()
		w.set(func(w *watch) {
			if len(w.asked) != 1 || w.asked[0] != ref("late") {
				t.Errorf("still waiting for %v", w.asked)
			}
			delete(w.unseen, "uid-late")
		})
		after(time.Second)
		epoch, since, ok := a.Term()
		if !ok || since.Before(seen) || since.After(time.Now()) || epoch != s.holder() {
			t.Errorf("found the term %q since %s, %v; want %q since %s or a little later", epoch, since, ok, s.holder(), seen)
		}
	})
}

func TestTheTakeoverGoesOnWhereItIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPIServer(t)
		w := &watch{refused: errors.New("refused for the test")}
		a := s.run(t, "headroom-a", func(o *Options) { o.Watched = w })
		after(time.Minute)
		a.follows(t)
		w.set(func(w *watch) { w.refused = nil })
		after(2 * time.Second)
		a.epoch(t)
	})
}

func TestTheLeaderIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours := func(more ...string) map[string]string {
			out := map[string]string{"app.kubernetes.io/name": "headroom"}
			for _, l := range more {
				out[l] = "true"
			}
			return out
		}
		s := newAPIServer(t, pod("headroom-a", ours()), pod("headroom-b", ours(Label)), pod("worker", map[string]string{Label: "true"}))
		published := func() (out []string) {
			list, err := s.pods.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: Label + "=true"})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range list.Items {
				out = append(out, p.Name)
			}
			return out
		}
		a := s.run(t, "headroom-a")
		after(time.Second)
		b := s.run(t, "headroom-b")
		after(3 * time.Second)
		if got := fmt.Sprint(published()); got != "[headroom-a worker]" { // others' pods are not ours to change
			t.Fatalf("published are %s", got)
		}
		// What an earlier leader sent arrives late.
		late := pod("headroom-b", ours(Label))
		if err := s.pods.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), late, namespace); err != nil {
			t.Fatal(err)
		}
		after(publishEvery)
		if got := fmt.Sprint(published()); got != "[headroom-a worker]" {
			t.Fatalf("published are %s", got)
		}
		a.network.set(func(n *network) { n.deaf = true })
		after(30 * time.Second)
		b.epoch(t)
		if got := fmt.Sprint(published()); got != "[headroom-b worker]" {
			t.Fatalf("published are %s", got)
		}
	})
}

func TestOptionsThatCannotBeRight(t *testing.T) {
	s := newAPIServer(t)
	good := Options{Client: s.pods, Watched: &watch{}, Namespace: namespace, Pod: "headroom-a"}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for words, change := range map[string]func(*Options){
		"a client":           func(o *Options) { o.Client = nil },
		"what is watched":    func(o *Options) { o.Watched = nil },
		"a pod's name":       func(o *Options) { o.Pod = "" },
		"whole seconds":      func(o *Options) { o.LeaseDuration = 15*time.Second + 1 },
		"the retry period":   func(o *Options) { o.RetryPeriod = -1 },
		"the renew deadline": func(o *Options) { o.RenewDeadline = 2 * time.Second },
		"the lease duration": func(o *Options) { o.LeaseDuration = 10 * time.Second },
	} {
		options := good
		change(&options)
		if _, err := New(options); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("expected words on %s, found %v", words, err)
		}
	}
}

// client-go's election lets go of the lease wherever a term ends. Where it was not
// renewed in time, that is too early: a new term of this process goes on from it,
// and others need not be told.
func TestTheLeaseIsLetGoInTheEndAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPIServer(t)
		a := s.run(t, "headroom-a")
		after(time.Second)
		epoch := a.epoch(t)
		if err := a.term.Load().Update(t.Context(), resourcelock.LeaderElectionRecord{}); err == nil || s.holder() != epoch {
			t.Errorf("expected the lease not to be released, found %v, and it is %q's", err, s.holder())
		}
	})
}

func TestTheSuccessorIsAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours := map[string]string{"app.kubernetes.io/name": "headroom"}
		other := pod("headroom-b", ours)
		s := newAPIServer(t, pod("headroom-a", ours), other)
		a := s.run(t, "headroom-a")
		after(time.Second)
		b := s.run(t, "headroom-b")
		after(time.Second)
		a.stop()
		<-a.ended
		began := time.Now()
		if a.Succeeded(t.Context()) || time.Since(began) > 0 {
			t.Errorf("waited %s for a pod that isn't ready", time.Since(began))
		}
		other.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		if err := s.pods.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), other, namespace); err != nil {
			t.Fatal(err)
		}
		if !a.Succeeded(t.Context()) || !b.Leading() {
			t.Error("nobody leads")
		}
		if b.Succeeded(t.Context()) {
			t.Error("succeeded by itself")
		}
	})
}
