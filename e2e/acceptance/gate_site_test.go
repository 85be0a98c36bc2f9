package acceptance

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keda-headroom/headroom/internal/otherapp"
	"github.com/keda-headroom/headroom/metrics/kube"
)

// A gated site's server lets everybody but superusers open 57 connections, of which
// 10 stay free. The other application holds 7 and opens one more five times a
// second, Headroom holds one or two, and the test watches with one: 35 are for
// workers in any case, 7 pods of 5, and never 40.
const (
	gateConnections = 60
	gateReserve     = 10
	gateHeld        = 7
	gateCapacity    = 7
)

// gateSite is a site whose workers wait at the gate, with another application that
// notices every connection it is refused.
type gateSite struct {
	*site
	web   *otherapp.App
	watch *watch
}

func newGateSite(t *testing.T) *gateSite {
	t.Helper()
	return newGateSiteOf(t, gateConnections)
}

func newGateSiteOf(t *testing.T, connections int) *gateSite {
	t.Helper()
	s := &gateSite{site: newSiteOf(t, serverOf(connections))}
	s.watch = s.site.watch()
	var err error
	if s.web, err = otherapp.Start(context.WithoutCancel(t.Context()), otherapp.Options{
		DSN: s.database.DSN("web", "postgres"), Held: gateHeld, ShortEvery: 200 * time.Millisecond,
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.web.Stop)
	return s
}

func serverOf(connections int) map[string]string {
	return map[string]string{"max_connections": strconv.Itoa(connections), "superuser_reserved_connections": "3"}
}

// gatePolicy describes the database as one that gated workloads share.
func gatePolicy(workloads ...string) string {
	return expand(databasePolicy, "RESERVE", strconv.Itoa(gateReserve), "WINDOW", "5s") + strings.Join(workloads, "")
}

// gatedFleet is what a fleet has besides, where its pods are gated.
type gatedFleet struct {
	*fleet
	// replicas is the Deployment's at the start, surge and unavailable are its
	// strategy's: 0 and 25% where both are "".
	replicas           int
	surge, unavailable string
	// grace is the pods' grace period, drain how long of it they keep their
	// connections; 10 s and none where grace is 0.
	grace, drain time.Duration
	// pool is how many connections a pod opens, extra how many more; 0 is the usual 5.
	pool, extra int
	// ungated leaves out the label, more is more of the pods' spec, as YAML.
	ungated bool
	more    string
}

const gatedDeployment = `
apiVersion: apps/v1
kind: $KIND
metadata: {name: $FLEET, namespace: $NAMESPACE}
spec:
  replicas: $REPLICAS
  selector: {matchLabels: {app: $FLEET}}
  $STRATEGY
  template:
    metadata: {labels: {app: $FLEET$GATE}}
    spec: $PODSPEC
`

func (s *gateSite) gatedDeployment(f *gatedFleet) string {
	if f.surge == "" && f.unavailable == "" {
		f.surge, f.unavailable = "0", "25%"
	}
	strategy := fmt.Sprintf("strategy: {rollingUpdate: {maxSurge: %s, maxUnavailable: %s}}", f.surge, f.unavailable)
	return s.gatedObject("Deployment", strategy, f)
}

// gatedObject is a Deployment or whatever has the same fields.
func (s *gateSite) gatedObject(kind, strategy string, f *gatedFleet) string {
	label := `, keda-headroom.github.io/gate: "true"`
	if f.ungated {
		label = ""
	}
	return s.fill(gatedDeployment, "KIND", kind, "FLEET", f.name, "REPLICAS", strconv.Itoa(f.replicas),
		"STRATEGY", strategy, "GATE", label, "PODSPEC", s.gatedPodSpec(f))
}

func (s *gateSite) gatedPodSpec(f *gatedFleet) string {
	spec := s.podSpec(f.fleet, f.more, "")
	if f.grace > 0 {
		spec = strings.Replace(spec, "terminationGracePeriodSeconds: 10", fmt.Sprintf("terminationGracePeriodSeconds: %.0f", f.grace.Seconds()), 1)
	}
	if f.pool > 0 {
		spec = strings.Replace(spec, fmt.Sprintf(`{name: DB_POOL_SIZE, value: "%d"}`, perPod), fmt.Sprintf(`{name: DB_POOL_SIZE, value: "%d"}`, f.pool), 1)
	}
	return spec + fmt.Sprintf("        - {name: TERMINATION_SECONDS, value: \"%v\"}\n        - {name: EXTRA_CONNECTIONS, value: \"%d\"}\n", f.drain.Seconds(), f.extra)
}

// deployGated makes the fleet's Deployment and ScaledObject.
func (s *gateSite) deployGated(f *gatedFleet) {
	s.t.Helper()
	s.apply(s.gatedDeployment(f))
	s.apply(s.scaledObject(f.fleet))
}

// pods are those of a fleet that may hold connections, and those at the gate, the
// oldest first.
func (s *site) pods(ctx context.Context, fleet string) (passed, gated []corev1.Pod, err error) {
	list, err := s.Client().CoreV1().Pods(s.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + fleet})
	if err != nil {
		return nil, nil, err
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int {
		if d := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
	for _, p := range list.Items {
		switch {
		case isGated(p):
			gated = append(gated, p)
		case p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed:
			passed = append(passed, p)
		}
	}
	return passed, gated, nil
}

func isGated(p corev1.Pod) bool {
	return slices.ContainsFunc(p.Spec.SchedulingGates, func(g corev1.PodSchedulingGate) bool { return g.Name == kube.Gate })
}

// passed waits until so many pods of a fleet are past the gate, all of them ready and
// none on its way out.
func (s *site) passed(fleet string, pods int) []corev1.Pod {
	s.t.Helper()
	var passed []corev1.Pod
	s.wait(fmt.Sprintf("%d ready pods of %s past the gate", pods, fleet), func(ctx context.Context) (bool, error) {
		var gated []corev1.Pod
		var err error
		if passed, gated, err = s.pods(ctx, fleet); err != nil {
			return false, err
		}
		ready := 0
		for i := range passed {
			if passed[i].DeletionTimestamp == nil && isReady(&passed[i]) {
				ready++
			}
		}
		return len(passed) == pods && ready == pods, fmt.Errorf("%d are, %d of them ready, and %d wait", len(passed), ready, len(gated))
	})
	return passed
}

// scale sets spec.replicas by the scale subresource, as kubectl scale does.
func (s *site) scale(deployment string, replicas int) {
	s.t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	if _, err := s.Client().AppsV1().Deployments(s.namespace).Patch(s.t.Context(), deployment, types.MergePatchType, patch, metav1.PatchOptions{}, "scale"); err != nil {
		s.t.Fatal(err)
	}
}

// rollOut changes the pod template of a Deployment.
func (s *site) rollOut(deployment, revision string) {
	s.t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"template":{"metadata":{"labels":{"revision":%q}}}}}`, revision)
	if _, err := s.Client().AppsV1().Deployments(s.namespace).Patch(s.t.Context(), deployment, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

// turnOver deletes one pod after the other, each time waits for as many as before,
// and looks that it was replaced.
func (s *site) turnOver(fleet string, times, pods int) {
	s.t.Helper()
	for range times {
		victim := s.passed(fleet, pods)[0]
		if err := s.Client().CoreV1().Pods(s.namespace).Delete(s.t.Context(), victim.Name, metav1.DeleteOptions{}); err != nil {
			s.t.Fatal(err)
		}
		s.wait(victim.Name+" to be replaced", func(ctx context.Context) (bool, error) {
			passed, _, err := s.pods(ctx, fleet)
			gone := !slices.ContainsFunc(passed, func(p corev1.Pod) bool { return p.UID == victim.UID })
			return gone && len(passed) == pods, err
		})
	}
	s.passed(fleet, pods)
}

// refusals are all that there were: by PostgreSQL's own log, by role, and by the
// clients' own counts.
func (s *gateSite) refusals() (logged map[string]int, workers, others int) {
	s.t.Helper()
	logged, err := s.database.Refusals()
	if err != nil {
		s.t.Fatal(err)
	}
	return logged, s.refused(s.namespace), s.web.Counts().Refused
}

// nobodyRefused holds the site to the promise: not one connection was refused, to
// nobody, and workers never held more than the budget.
func (s *gateSite) nobodyRefused(budget int) {
	s.t.Helper()
	logged, workers, others := s.refusals()
	if len(logged) > 0 || workers > 0 || others > 0 {
		s.t.Errorf("PostgreSQL refused %v, workers counted %d, the other application %d of %d: want none", logged, workers, others, s.web.Counts().Attempts)
	}
	most := s.watch.most()
	if most.workers > budget {
		s.t.Errorf("workers held %d connections at once, want at most %d", most.workers, budget)
	}
	if s.web.Counts().Attempts == 0 {
		s.t.Error("the other application made no attempt: nobody would have noticed")
	}
	s.t.Logf("at most %d of %d connections were used, %d of them by workers; the other application made %d attempts", most.used, most.usable, most.workers, s.web.Counts().Attempts)
}

// neverGated fails where a pod of the site still waits at the gate.
func (s *site) neverGated() {
	s.t.Helper()
	list, err := s.Client().CoreV1().Pods(s.namespace).List(s.t.Context(), metav1.ListOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range list.Items {
		if isGated(p) {
			s.t.Errorf("pod %s waits at the gate", p.Name)
		}
	}
}

// uids are those of pods, in order.
func uids(pods []corev1.Pod) []types.UID {
	out := map[types.UID]bool{}
	for _, p := range pods {
		out[p.UID] = true
	}
	return slices.Sorted(maps.Keys(out))
}
