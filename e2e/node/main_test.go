package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/e2e/cluster"
	"github.com/keda-headroom/headroom/e2e/node"
	"github.com/keda-headroom/headroom/e2e/worker"
)

const (
	startTimeout = 5 * time.Minute
	// patience is how long anything in a cluster may take.
	patience = 3 * time.Minute
)

// TestMain lets the test binary be the programs of containers, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		if program := map[string]func() error{
			"be-worker": func() error { return worker.Main(os.Stdout) }, "be-web": web, "be-stubborn": stubborn,
		}[os.Args[1]]; program != nil {
			if err := program(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	status := m.Run()
	if shared != nil {
		if err := shared.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

// web says what it was given, and is ready when its file says so.
func web() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"args": os.Args[2:], "env": os.Environ()})
	listen := strings.TrimPrefix(os.Args[len(os.Args)-1], "--listen=")
	server := &http.Server{Addr: listen, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := os.Stat(os.Getenv("READY_FILE")); err != nil {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
		}
	})}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// stubborn does not end when it is asked to.
func stubborn() error {
	signal.Ignore(syscall.SIGTERM)
	fmt.Println(`{"kind":"ready"}`)
	for range time.Tick(time.Hour) {
		fmt.Println(`{"kind":"still here"}`)
	}
	return nil
}

var (
	shared    *cluster.Cluster
	errShared error
	startOnce sync.Once
)

func sharedCluster(t *testing.T) *cluster.Cluster {
	t.Helper()
	startOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		shared, errShared = cluster.Start(ctx, cluster.Options{Log: os.Stderr})
	})
	if errShared != nil {
		t.Fatal(errShared)
	}
	return shared
}

// site is a namespace of a test's own, and a node of its own that runs its pods
// alone.
type site struct {
	*cluster.Cluster
	t         *testing.T
	namespace string
	node      *node.Node

	mu    sync.Mutex
	lines map[string][]string // of containers' standard output, by pod
}

var siteNumber struct {
	sync.Mutex
	n int
}

func newSite(t *testing.T) *site {
	t.Helper()
	c := sharedCluster(t)
	siteNumber.Lock()
	siteNumber.n++
	number := siteNumber.n
	siteNumber.Unlock()
	s := &site{Cluster: c, t: t, namespace: fmt.Sprintf("site-%d", number), lines: map[string][]string{}}
	s.apply("{apiVersion: v1, kind: Namespace, metadata: {name: " + s.namespace + "}}")
	addresses, err := node.Loopback(100 + number)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := func(be string) node.Program {
		return node.Program{Path: self, Args: []string{be}, ReportsReady: be != "be-web", Line: s.heard}
	}
	web := program("be-web")
	web.Listen, web.ServiceAccount = map[string]string{"--listen": ":8080"}, true
	s.node, err = node.Start(t.Context(), node.Options{
		Config: c.Config(), Name: "node-of-" + s.namespace, Labels: map[string]string{"site": s.namespace},
		Taints:    []corev1.Taint{{Key: "site", Value: s.namespace, Effect: corev1.TaintEffectNoSchedule}},
		Addresses: addresses, Backoff: time.Second,
		Programs: map[string]node.Program{"worker": program("be-worker"), "example.org/web": web, "stubborn": program("be-stubborn")},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.node.Close(); err != nil {
			t.Error(err)
		}
		if n := s.node.Processes(); n != 0 {
			t.Errorf("%d processes after Close", n)
		}
	})
	return s
}

func (s *site) heard(pod *corev1.Pod, line []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines[pod.Name] = append(s.lines[pod.Name], string(line))
}

func (s *site) said(pod string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.lines[pod]...)
}

func (s *site) apply(documents string) {
	s.t.Helper()
	if err := s.Apply(s.t.Context(), []byte(documents)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) wait(what string, condition func(context.Context) (bool, error)) {
	s.t.Helper()
	if err := cluster.WaitFor(s.t.Context(), patience, what, condition); err != nil {
		s.t.Fatal(err)
	}
}

// template is a pod's on the site's node. spec is what more it says, in JSON.
func (s *site) template(t *testing.T, annotations map[string]string, spec string) corev1.PodTemplateSpec {
	t.Helper()
	out := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "x"}, Annotations: annotations}}
	if err := json.Unmarshal([]byte(spec), &out.Spec); err != nil {
		t.Fatal(err)
	}
	out.Spec.NodeSelector = map[string]string{"site": s.namespace}
	out.Spec.Tolerations = []corev1.Toleration{{Key: "site", Value: s.namespace}}
	return out
}

func (s *site) deploy(annotations map[string]string, replicas int32, spec string) {
	s.t.Helper()
	_, err := s.Client().AppsV1().Deployments(s.namespace).Create(s.t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "x"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "x"}},
			Template: s.template(s.t, annotations, spec),
		},
	}, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) scale(replicas int) {
	s.t.Helper()
	body := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	if _, err := s.Client().AppsV1().Deployments(s.namespace).Patch(s.t.Context(), "x", "application/merge-patch+json", body, metav1.PatchOptions{}, "scale"); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) pods(ctx context.Context) ([]corev1.Pod, error) {
	list, err := s.Client().CoreV1().Pods(s.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// pod makes a pod that nobody else looks after.
func (s *site) pod(name string, annotations map[string]string, spec string) {
	s.t.Helper()
	template := s.template(s.t, annotations, spec)
	template.Name = name
	if _, err := s.Client().CoreV1().Pods(s.namespace).Create(s.t.Context(), &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}, metav1.CreateOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

// await waits until a pod is what it should be, and returns it.
func (s *site) await(name, what string, condition func(p *corev1.Pod) bool) (found *corev1.Pod) {
	s.t.Helper()
	s.wait(name+" to be "+what, func(ctx context.Context) (bool, error) {
		p, err := s.Client().CoreV1().Pods(s.namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		if found = p; condition(p) {
			return true, nil
		}
		return false, fmt.Errorf("it is %s, %+v", p.Status.Phase, p.Status.ContainerStatuses)
	})
	return found
}

func isReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// container is the state of a pod's container.
func container(p *corev1.Pod) corev1.ContainerStatus {
	if len(p.Status.ContainerStatuses) == 0 {
		return corev1.ContainerStatus{}
	}
	return p.Status.ContainerStatuses[0]
}

func waitsFor(reason string) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool {
		waiting := container(p).State.Waiting
		return waiting != nil && waiting.Reason == reason
	}
}
