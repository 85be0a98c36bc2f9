package acceptance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keda-headroom/headroom/scaler/leader"
)

// These take the leader away in every way, and therefore run before the tests that
// need it, one after the other.

// own are Headroom's pods.
func (h *installation) own(ctx context.Context) ([]corev1.Pod, error) {
	list, err := h.world.Client().CoreV1().Pods(headroomNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=headroom"})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// restored waits until two are ready, one of them leads, and it is not the one
// that is given.
func (s *site) restored(not string) (leads string) {
	s.t.Helper()
	if err := s.headroom.awaitReady(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.wait("another one to lead, and both to be ready", func(ctx context.Context) (bool, error) {
		pods, err := s.headroom.own(ctx)
		if err != nil {
			return false, err
		}
		var published, ready []string
		for i := range pods {
			if pods[i].Labels[leader.Label] == "true" {
				published = append(published, pods[i].Name)
			}
			if isReady(&pods[i]) && pods[i].DeletionTimestamp == nil {
				ready = append(ready, pods[i].Name)
			}
		}
		lease, err := s.Client().CoordinationV1().Leases(headroomNamespace).Get(ctx, leader.DefaultLeaseName, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		if len(published) == 1 {
			leads = published[0]
		}
		return len(pods) == 2 && len(ready) == 2 && len(published) == 1 && leads != not && strings.HasPrefix(*lease.Spec.HolderIdentity, leads+"_"),
			fmt.Errorf("of %d pods %v are published and %v ready, the lease is %q's, it must not be %q's", len(pods), published, ready, *lease.Spec.HolderIdentity, not)
	})
	return leads
}

// leads is the pod that leads.
func (s *site) leads() *corev1.Pod {
	s.t.Helper()
	p, err := s.headroom.pod(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// signal sends a signal to the process of a pod.
func (s *site) signal(p *corev1.Pod, signal syscall.Signal) {
	s.t.Helper()
	id, _ := strings.CutPrefix(p.Status.ContainerStatuses[0].ContainerID, "process://")
	pid, err := strconv.Atoi(id)
	if err != nil {
		s.t.Fatalf("pod %s has no process: %v", p.Name, err)
	}
	if err := syscall.Kill(pid, signal); err != nil {
		s.t.Fatal(err)
	}
}

// asked is how KEDA was answered for a while.
type asked struct {
	answers int
	gap     time.Duration // the longest time without an answer
	wrong   []error       // answers that were not what was expected
}

// listen asks for a target again and again, as KEDA does, until what it returns is
// called, and then until the next answer. A connection that is lost is soon made
// anew.
func (s *site) listen(workload string, want float64) (stop func() asked) {
	s.t.Helper()
	connection, err := grpc.NewClient(s.headroom.address(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1, MaxDelay: 100 * time.Millisecond}}))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = connection.Close() })
	client := pb.NewExternalScalerClient(connection)
	s.answers(client, workload, want)
	ctx, cancel := context.WithCancel(context.Background())
	enough := make(chan struct{})
	var a asked
	var asking sync.WaitGroup
	asking.Go(func() {
		again := time.NewTicker(50 * time.Millisecond)
		defer again.Stop()
		last := time.Now()
		for {
			target, err := s.ask(ctx, client, workload)
			if now := time.Now(); err == nil {
				a.answers++
				a.gap, last = max(a.gap, now.Sub(last)), now
				if target != want {
					a.wrong = append(a.wrong, fmt.Errorf("the target was %v, want %v", target, want))
				}
				select {
				case <-enough:
					return
				default:
				}
			}
			select {
			case <-again.C:
			case <-ctx.Done():
				a.gap = max(a.gap, time.Since(last))
				return
			}
		}
	})
	stop = sync.OnceValue(func() asked {
		close(enough)
		late := time.AfterFunc(patience, cancel)
		defer late.Stop()
		asking.Wait()
		cancel()
		return a
	})
	s.t.Cleanup(func() { stop() })
	return stop
}

// heard holds what KEDA heard against the longest time that it may have waited.
func (s *site) heard(a asked, gap time.Duration) {
	s.t.Helper()
	s.t.Logf("KEDA was answered %d times, with %s at most in between", a.answers, a.gap.Round(10*time.Millisecond))
	if a.answers == 0 || a.gap > gap {
		s.t.Errorf("KEDA was answered %d times, with up to %s in between, want %s at most", a.answers, a.gap, gap)
	}
	if err := errors.Join(a.wrong...); err != nil {
		s.t.Error(err)
	}
}

// quiet is a site with a fleet that is where it should be.
func quiet(t *testing.T) (*site, *fleet, *replicas) {
	t.Helper()
	s := newSite(t)
	f := s.start(&fleet{name: "orders"})
	s.policy("policy", most(f, 3))
	s.deploy(f)
	s.send(f.queue, 100)
	s.runs("orders", 3)
	return s, f, s.follow("orders")
}

// TestARolloutOfHeadroomGoesUnnoticed replaces both pods, and evicts both as a drain
// of their nodes does, while KEDA asks.
func TestARolloutOfHeadroomGoesUnnoticed(t *testing.T) {
	s, _, seen := quiet(t)
	before := s.restored("")

	// What a rollout may keep KEDA waiting for: connections are ended in an orderly
	// way when the next one can answer. The machine may be slow.
	const gap = 10 * time.Second
	heard := s.listen("orders", 3)
	patch := fmt.Appendf(nil, `{"spec":{"template":{"metadata":{"annotations":{"e2e":%q}}}}}`, time.Now().String())
	if _, err := s.Client().AppsV1().Deployments(headroomNamespace).Patch(t.Context(), "headroom", types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	after := s.restored(before)
	s.heard(heard(), gap)

	s.wait("the disruption budget to allow one", func(ctx context.Context) (bool, error) {
		b, err := s.Client().PolicyV1().PodDisruptionBudgets(headroomNamespace).Get(ctx, "headroom", metav1.GetOptions{})
		return err == nil && b.Status.DisruptionsAllowed == 1, fmt.Errorf("%v, %w", b.Status, err)
	})
	heard = s.listen("orders", 3)
	pods, err := s.headroom.own(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range pods {
		s.evict(&pods[i])
	}
	s.restored(after)
	s.heard(heard(), gap)
	if all := seen.all(); len(all) != 1 {
		t.Errorf("replicas were %v, want 3 all the time", all)
	}
}

// evict drains a pod, as often as its budget refuses it.
func (s *site) evict(p *corev1.Pod) {
	s.t.Helper()
	s.wait("the eviction of "+p.Name, func(ctx context.Context) (bool, error) {
		err := s.Client().PolicyV1().Evictions(p.Namespace).Evict(ctx, &policyv1.Eviction{
			ObjectMeta:    metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name},
			DeleteOptions: metav1.NewPreconditionDeleteOptions(string(p.UID)),
		})
		return err == nil, err
	})
}

// TestTheLeaderIsKilled has somebody lead when the lease has run out: the other pod,
// or the one that was killed, whose container is soon back.
func TestTheLeaderIsKilled(t *testing.T) {
	s, _, seen := quiet(t)
	s.restored("")
	old := s.leads()
	ended := s.holder()
	heard := s.listen("orders", 3)
	s.signal(old, syscall.SIGKILL)
	s.wait("somebody to lead again", func(context.Context) (bool, error) {
		now := s.holder()
		return now != "" && now != ended, fmt.Errorf("%q holds the lease", now)
	})
	s.restored("")
	s.answers(s.client(insecure.NewCredentials()), "orders", 3)
	// The lease, and a while to look at it and to read everything.
	s.heard(heard(), leader.DefaultLeaseDuration+30*time.Second)
	if all := seen.all(); len(all) != 1 {
		t.Errorf("replicas were %v, want 3 all the time", all)
	}
}

// TestTheLeaderIsStopped stops the leader for twice the lease and lets it go on: it
// sees that another one leads, ends, and comes back as a follower.
func TestTheLeaderIsStopped(t *testing.T) {
	s, _, seen := quiet(t)
	s.restored("")
	old := s.leads()
	heard := s.listen("orders", 3)
	s.signal(old, syscall.SIGSTOP)
	goOn := sync.OnceFunc(func() { s.signal(old, syscall.SIGCONT) })
	t.Cleanup(goOn)
	stopped := time.Now()
	var next string
	s.wait("another one to lead, and twice the lease", func(ctx context.Context) (bool, error) {
		p, err := s.headroom.pod(ctx)
		if err == nil && p.Name != old.Name {
			next = p.Name
		}
		return next != "" && time.Since(stopped) > 2*leader.DefaultLeaseDuration, err
	})
	goOn()
	s.wait("the old leader to begin anew", func(ctx context.Context) (bool, error) {
		p, err := s.Client().CoreV1().Pods(headroomNamespace).Get(ctx, old.Name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		list, err := s.Client().CoreV1().Pods(headroomNamespace).List(ctx, metav1.ListOptions{LabelSelector: leading})
		if err != nil {
			return false, err
		}
		if len(list.Items) != 1 || list.Items[0].Name != next {
			t.Errorf("published are %d pods, and it should be %s alone", len(list.Items), next)
		}
		return isReady(p) && p.Status.ContainerStatuses[0].RestartCount == old.Status.ContainerStatuses[0].RestartCount+1, nil
	})
	s.restored(old.Name)
	logs, err := filepath.Glob(filepath.Join(s.node.Logs(), headroomNamespace+"_"+old.Name+"*.log"))
	if err != nil {
		t.Fatal(err)
	}
	var said []byte
	for _, path := range logs {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, content...)
	}
	if !bytes.Contains(said, []byte("lost the lead to "+next)) {
		t.Errorf("the log of %s does not say to whom it lost the lead: %v", old.Name, logs)
	}
	s.answers(s.client(insecure.NewCredentials()), "orders", 3)
	s.heard(heard(), leader.DefaultLeaseDuration+30*time.Second)
	if all := seen.all(); len(all) != 1 {
		t.Errorf("replicas were %v, want 3 all the time", all)
	}
}
