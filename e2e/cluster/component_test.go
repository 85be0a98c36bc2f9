package cluster_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/keda-headroom/headroom/e2e/cluster"
)

func TestSchedulerIsRestarted(t *testing.T) {
	c := sharedCluster(t)
	node(t, c, "restarted")
	scheduler := c.Component("kube-scheduler")
	if err := scheduler.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := scheduler.Pause(); err == nil {
		t.Error("a component that is stopped was paused")
	}
	apply(t, c, namespace("unscheduled")+"---"+deployment("unscheduled", "workers", 2))
	awaitPods(t, c, "unscheduled", 2, "not scheduled", func(pod corev1.Pod) bool { return !scheduled(pod) })
	for range 2 { // starting what runs does nothing
		if err := scheduler.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	awaitPods(t, c, "unscheduled", 2, "scheduled", scheduled)
}

func TestAPIServerIsRestarted(t *testing.T) {
	c := ownCluster(t, cluster.Options{})
	apply(t, c, namespace("kept"))
	server := c.Component("kube-apiserver")
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Client().CoreV1().Namespaces().Get(t.Context(), "kept", metav1.GetOptions{}); err == nil {
		t.Error("a stopped server answered")
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Client().CoreV1().Namespaces().Get(t.Context(), "kept", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	// Those that watched go on.
	apply(t, c, deployment("kept", "workers", 1))
	awaitPods(t, c, "kept", 1, "there", func(corev1.Pod) bool { return true })

	// A server that is paused is there and doesn't answer.
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	config := c.Config()
	config.Timeout = 500 * time.Millisecond
	impatient := kubernetes.NewForConfigOrDie(config)
	if _, err := impatient.CoreV1().Namespaces().Get(t.Context(), "kept", metav1.GetOptions{}); err == nil {
		t.Error("a paused server answered")
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	wait(t, "the server to answer again", func(ctx context.Context) (bool, error) {
		_, err := c.Client().CoreV1().Namespaces().Get(ctx, "kept", metav1.GetOptions{})
		return err == nil, err
	})
}

func TestStartSaysWhatWentWrong(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	c, err := cluster.Start(ctx, cluster.Options{Flags: map[string][]string{"kube-apiserver": {"--invented=true"}}})
	if err == nil {
		t.Fatal("started", c.Close())
	}
	for _, want := range []string{"start kube-apiserver", "unknown flag: --invented"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("expected %q in %v", want, err)
		}
	}
}

func TestWaitForSaysWhatItWaitedFor(t *testing.T) {
	missing := errors.New("found 2 of 3")
	err := cluster.WaitFor(t.Context(), 50*time.Millisecond, "three of them", func(context.Context) (bool, error) { return false, missing })
	if err := cluster.WaitFor(t.Context(), patience, "nothing", func(context.Context) (bool, error) { return true, missing }); err != nil {
		t.Error(err)
	}
	if !errors.Is(err, missing) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "three of them") {
		t.Errorf("got %v", err)
	}
}
