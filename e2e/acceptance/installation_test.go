package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keda-headroom/headroom/e2e/cluster"
	"github.com/keda-headroom/headroom/e2e/service"
	"github.com/keda-headroom/headroom/internal/steadyport"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/leader"
)

// headroomNamespace is where Headroom's manifests put it.
const headroomNamespace = "headroom"

// manifests is Headroom's directory of them.
var manifests = filepath.Join("..", "..", "manifests")

// installation is Headroom in the cluster, from its own manifests.
type installation struct {
	world   *world
	service *service.Service // the address where KEDA finds it
	// replicas is how many pods its manifests give it.
	replicas int32
}

// install installs Headroom, and returns when it is ready.
func install(ctx context.Context, w *world) (*installation, error) {
	h := &installation{world: w}
	if err := w.ApplyKustomization(ctx, filepath.Join("..", "manifests", "headroom")); err != nil {
		return nil, err
	}
	port, err := steadyport.Port()
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if h.service, err = service.Listen(ctx, w.Client(), headroomNamespace, "headroom", 6000, address); err != nil {
		return nil, err
	}
	return h, h.awaitReady(ctx)
}

// address is where KEDA finds Headroom, as long as it runs.
func (h *installation) address() string { return h.service.Address() }

// leading selects the pod of Headroom's that leads.
const leading = "app.kubernetes.io/name=headroom," + leader.Label + "=true"

// pod returns the pod of Headroom's that leads, where it is ready.
func (h *installation) pod(ctx context.Context) (*corev1.Pod, error) {
	list, err := h.world.Client().CoreV1().Pods(headroomNamespace).List(ctx, metav1.ListOptions{LabelSelector: leading})
	if err != nil {
		return nil, err
	}
	for i := range list.Items {
		if p := &list.Items[i]; p.DeletionTimestamp == nil && isReady(p) {
			return p, nil
		}
	}
	return nil, fmt.Errorf("no pod of Headroom's leads and is ready: see %s", h.world.node.Logs())
}

func isReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// awaitReady waits until the Deployment's newest template runs, is ready, and can be
// reached.
func (h *installation) awaitReady(ctx context.Context) error {
	return cluster.WaitFor(ctx, patience, "Headroom to be ready", func(ctx context.Context) (bool, error) {
		d, err := h.world.Client().AppsV1().Deployments(headroomNamespace).Get(ctx, "headroom", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		n := *d.Spec.Replicas
		h.replicas = max(h.replicas, n)
		if d.Status.ObservedGeneration != d.Generation || d.Status.UpdatedReplicas != n || d.Status.ReadyReplicas != n || d.Status.Replicas != n {
			return false, fmt.Errorf("its Deployment says %+v; see %s", d.Status, h.world.node.Logs())
		}
		_, err = h.pod(ctx)
		return err == nil && h.service.Targets() == 1, err
	})
}

// scale sets how many pods Headroom has: 0 takes it away.
func (h *installation) scale(t *testing.T, replicas int32) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	if _, err := h.world.Client().AppsV1().Deployments(headroomNamespace).Patch(context.WithoutCancel(t.Context()), "headroom", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// stop takes Headroom away, until the test ends at the latest.
func (h *installation) stop(t *testing.T) {
	t.Helper()
	h.scale(t, 0)
	t.Cleanup(func() { h.start(t) })
	eventually(t, "Headroom to be gone", func(ctx context.Context) (bool, error) {
		list, err := h.world.Client().CoreV1().Pods(headroomNamespace).List(ctx, metav1.ListOptions{})
		return err == nil && len(list.Items) == 0, err
	})
}

// start brings Headroom back.
func (h *installation) start(t *testing.T) {
	t.Helper()
	h.scale(t, h.replicas)
	if err := h.awaitReady(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// get asks Headroom's HTTP server.
func (h *installation) get(ctx context.Context, path string) ([]byte, error) {
	p, err := h.pod(ctx)
	if err != nil {
		return nil, err
	}
	return get(ctx, p.Status.PodIP, path)
}

func get(ctx context.Context, podIP, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(podIP, "8080")+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", path, response.Status, body)
	}
	return body, err
}

// plans are Headroom's at this moment.
func (h *installation) plans(ctx context.Context) (scaler.Plans, error) {
	body, err := h.get(ctx, "/v1/plans")
	if err != nil {
		return scaler.Plans{}, err
	}
	var plans scaler.Plans
	return plans, json.Unmarshal(body, &plans)
}

// metric is the value of a series with at least these labels, and whether there is
// one.
func (h *installation) metric(ctx context.Context, name string, labels map[string]string) (float64, bool, error) {
	body, err := h.get(ctx, "/metrics")
	if err != nil {
		return 0, false, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return 0, false, err
	}
	for _, m := range families[name].GetMetric() {
		if has(m, labels) {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue(), true, nil
		}
	}
	return 0, false, nil
}

func has(m *dto.Metric, labels map[string]string) bool {
	found := 0
	for _, l := range m.GetLabel() {
		if want, ok := labels[l.GetName()]; ok && want == l.GetValue() {
			found++
		}
	}
	return found == len(labels)
}

// neverForbidden fails where a log of Headroom's says that the API server refused it
// something, but right after a start: the API server does not know the roles then.
func (h *installation) neverForbidden() error {
	logs, err := filepath.Glob(filepath.Join(h.world.node.Logs(), headroomNamespace+"_headroom-*.log"))
	if err != nil {
		return err
	}
	if len(logs) == 0 {
		return errors.New("expected logs of Headroom, found none")
	}
	var errs []error
	for _, log := range logs {
		content, err := os.ReadFile(log)
		errs = append(errs, err)
		for line := range bytes.Lines(content) {
			if bytes.Contains(bytes.ToLower(line), []byte("forbidden")) && !h.world.unsettled(line) {
				errs = append(errs, fmt.Errorf("the API server refused Headroom something: %s", line))
			}
		}
	}
	return errors.Join(errs...)
}

func (h *installation) close() error { return h.service.Close() }
