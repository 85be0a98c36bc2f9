// Package gate holds scaler/gate to a real API server.
package gate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	typedv1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/keda-headroom/headroom/e2e/cluster"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/kube"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/condition"
	"github.com/keda-headroom/headroom/scaler/gate"
)

const (
	patience  = 3 * time.Minute
	namespace = "default"
	other     = "example.com/quota"
	epoch     = kube.EpochAnnotation

	// me and you are the terms of two leaders.
	me  = "headroom-0_abc"
	you = "headroom-1_def"
)

var orders = metrics.ID{Namespace: namespace, Name: "order-workers"}

// world is a cluster in which the gate is installed: pods are the administrator's,
// client is Headroom's own, with the permissions that are shipped.
type world struct {
	admin, client kubernetes.Interface
	pods          typedv1.PodInterface
}

func newWorld(t *testing.T) world {
	t.Helper()
	start, cancel := context.WithTimeout(t.Context(), 30*time.Minute) // to build it, the first time
	defer cancel()
	c, err := cluster.Start(start, cluster.Options{Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := c.ApplyKustomization(start, "testdata"); err != nil {
		t.Fatal(err)
	}
	path, err := c.ServiceAccountKubeconfig(start, "headroom", "headroom")
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	config = c.Config()
	config.QPS = -1
	admin, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	w := world{admin, client, admin.CoreV1().Pods(namespace)}
	w.eventually(t, "the ServiceAccount of pods", func(ctx context.Context) (bool, error) {
		_, err := admin.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, err
	})
	w.inForce(t)
	return w
}

// inForce waits until what is installed holds, which the API server learns of a
// moment later: Headroom may write its term on a pod, and no label.
func (w world) inForce(t *testing.T) {
	t.Helper()
	probe := w.pod(t, "probe", nil, kube.Gate)
	try := func(ctx context.Context, body string) error {
		_, err := w.client.CoreV1().Pods(namespace).Patch(ctx, probe.Name, types.MergePatchType, []byte(body), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
	w.eventually(t, "the gate to be in force", func(ctx context.Context) (bool, error) {
		allowed := try(ctx, `{"metadata":{"annotations":{"`+epoch+`":"`+me+`"}}}`)
		refused := try(ctx, `{"metadata":{"labels":{"a":"b"}}}`)
		return allowed == nil && refused != nil && strings.Contains(refused.Error(), "ValidatingAdmissionPolicy"), errors.Join(allowed, refused)
	})
	if err := w.pods.Delete(t.Context(), probe.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (w world) eventually(t *testing.T, what string, condition func(context.Context) (bool, error)) {
	t.Helper()
	if err := cluster.WaitFor(t.Context(), patience, what, condition); err != nil {
		t.Fatal(err)
	}
}

// pod makes one with these gates and annotations; a term is written on it later, for
// nobody may make a pod that has one.
func (w world) pod(t *testing.T, name string, annotations map[string]string, gates ...string) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "orders"}, Annotations: annotations},
		// Of a scheduler that there isn't, so that nobody else writes to it.
		Spec: corev1.PodSpec{SchedulerName: "nobody", Containers: []corev1.Container{{Name: "worker", Image: "worker"}}},
	}
	for _, gate := range gates {
		pod.Spec.SchedulingGates = append(pod.Spec.SchedulingGates, corev1.PodSchedulingGate{Name: gate})
	}
	pod.Annotations = maps.Clone(annotations)
	delete(pod.Annotations, epoch)
	made, err := w.pods.Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if term, ok := annotations[epoch]; ok {
		body := []byte(`{"metadata":{"annotations":{"` + epoch + `":"` + term + `"}}}`)
		if made, err = w.client.CoreV1().Pods(namespace).Patch(t.Context(), name, types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return made
}

func (w world) get(t *testing.T, name string) *corev1.Pod {
	t.Helper()
	pod, err := w.pods.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

func gatesOf(p *corev1.Pod) string {
	var names []string
	for _, g := range p.Spec.SchedulingGates {
		names = append(names, g.Name)
	}
	return strings.Join(names, " ")
}

// metric is a pod as metrics/kube reads it, as far as it matters.
func metric(p *corev1.Pod) metrics.Pod {
	return metrics.Pod{UID: string(p.UID), Name: p.Name, Version: p.ResourceVersion, Epoch: p.Annotations[epoch], Gated: true}
}

// leader acts on one plan, in which pods are as they were seen, until so many
// attempts have ended.
func (w world) lead(t *testing.T, term string, plan policy.WorkloadPlan, attempts int, seen ...*corev1.Pod) []gate.Outcome {
	t.Helper()
	plan.ID = orders
	now := time.Now()
	var fleet metrics.Fleet
	for _, p := range seen {
		fleet.Pods = append(fleet.Pods, metric(p))
	}
	state := &scaler.State{At: now, Decisions: []scaler.Decision{{
		Snapshot: policy.Snapshot{Epoch: term, Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{orders: metrics.Known(fleet, now)}},
		Plan:     policy.Plan{At: now, Workloads: []policy.WorkloadPlan{plan}},
	}}}
	ended := make(chan gate.Outcome, attempts)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	actor := gate.New(gate.Options{
		Client:  w.client.CoreV1().RESTClient(),
		State:   func() *scaler.State { return state },
		Leading: func() (string, bool) { return term, true },
		Done:    func(o gate.Outcome) { ended <- o },
	})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		actor.Run(ctx)
	}()
	var outcomes []gate.Outcome
	for len(outcomes) < attempts {
		select {
		case o := <-ended:
			outcomes = append(outcomes, o)
		case <-ctx.Done():
			t.Fatalf("%d attempts ended, want %d: %+v", len(outcomes), attempts, outcomes)
		}
	}
	cancel()
	<-stopped
	return outcomes
}

func (w world) one(t *testing.T, term string, plan policy.WorkloadPlan, seen ...*corev1.Pod) gate.Outcome {
	t.Helper()
	return w.lead(t, term, plan, 1, seen...)[0]
}

func wants(t *testing.T, what string, o gate.Outcome, r gate.Result, said string) {
	t.Helper()
	t.Logf("%s: %s %s in %s: %s", what, o.Kind, o.Result, o.Took.Round(time.Millisecond), o.Said)
	if o.Result != r || !strings.Contains(o.Said, said) {
		t.Errorf("%s: found %s %q, want %s and something of %q", what, o.Result, o.Said, r, said)
	}
}

func stamps(term string, pods ...*corev1.Pod) policy.WorkloadPlan {
	var plan policy.WorkloadPlan
	for _, p := range pods {
		plan.Stamps = append(plan.Stamps, policy.Stamp{UID: string(p.UID), Name: p.Name, Version: p.ResourceVersion, Epoch: term})
	}
	return plan
}

func admits(pods ...*corev1.Pod) policy.WorkloadPlan {
	var plan policy.WorkloadPlan
	for _, p := range pods {
		plan.Admissions = append(plan.Admissions, policy.Admission{
			UID: string(p.UID), Name: p.Name, Version: p.ResourceVersion, Epoch: me, Grant: map[string]int{"platform/orders-db": 5},
		})
	}
	return plan
}

func evicts(ignore bool, pods ...*corev1.Pod) policy.WorkloadPlan {
	var plan policy.WorkloadPlan
	for _, p := range pods {
		plan.Evictions = append(plan.Evictions, policy.Eviction{
			UID: string(p.UID), Name: p.Name, Version: p.ResourceVersion, Reason: policy.Shed, IgnoreDisruptionBudgets: ignore,
		})
	}
	return plan
}

const granted = `{"platform/orders-db":5}`

func TestGateOfARealCluster(t *testing.T) {
	w := newWorld(t)
	t.Run("stamps", w.stamps)
	t.Run("admissions", w.admissions)
	t.Run("fences", w.fences)
	t.Run("conditions", w.conditions)
	t.Run("evictions", w.evictions)
	t.Run("disruption budgets", w.budgets)
}

func (w world) stamps(t *testing.T) {
	bare := w.pod(t, "stamp-bare", nil, kube.Gate)
	rich := w.pod(t, "stamp-rich", map[string]string{"mine": "1", epoch: you}, other, kube.Gate)
	for _, o := range w.lead(t, me, stamps(me, bare, rich), 2, bare, rich) {
		wants(t, o.Name, o, gate.Done, "")
	}
	for _, p := range []*corev1.Pod{bare, rich} {
		after := w.get(t, p.Name)
		want := maps.Clone(p.Annotations)
		if want == nil {
			want = map[string]string{}
		}
		want[epoch] = me
		if !maps.Equal(after.Annotations, want) || gatesOf(after) != gatesOf(p) || after.ResourceVersion == p.ResourceVersion {
			t.Errorf("%s: found %v and gates %s, want %v and %s", p.Name, after.Annotations, gatesOf(after), want, gatesOf(p))
		}
	}

	impostor := bare.DeepCopy()
	impostor.UID = "00000000-0000-0000-0000-000000000000"
	wants(t, "a pod at another version", w.one(t, you, stamps(you, bare), bare), gate.Stale, "modified")
	before := w.get(t, bare.Name)
	impostor.ResourceVersion = before.ResourceVersion
	wants(t, "a pod of another uid", w.one(t, you, stamps(you, impostor), impostor), gate.Stale, "uid")
	impostor.Name = "stamp-nobody"
	wants(t, "a pod that is not there", w.one(t, you, stamps(you, impostor), impostor), gate.Gone, "not found")
	if after := w.get(t, bare.Name); after.ResourceVersion != before.ResourceVersion {
		t.Errorf("a stamp for another uid changed the pod: %v", after.Annotations)
	}
}

func (w world) admissions(t *testing.T) {
	bare := w.pod(t, "admit-bare", nil, kube.Gate)
	rich := w.pod(t, "admit-rich", map[string]string{"mine": "1"}, kube.Gate)
	seen := w.pod(t, "admit-seen", map[string]string{epoch: me}, kube.Gate)
	for _, o := range w.lead(t, me, admits(bare, rich, seen), 3, bare, rich, seen) {
		wants(t, o.Name, o, gate.Done, "")
	}
	for _, p := range []*corev1.Pod{bare, rich, seen} {
		after := w.get(t, p.Name)
		if after.Annotations[kube.GrantAnnotation] != granted || len(after.Annotations) != len(p.Annotations)+1 || gatesOf(after) != "" {
			t.Errorf("%s: found %v and gates %q", p.Name, after.Annotations, gatesOf(after))
		}
	}
	wants(t, "once more", w.one(t, me, admits(seen), seen), gate.Stale, "not as the plan saw it")

	for name, gates := range map[string][]string{"before": {other, kube.Gate}, "after": {kube.Gate, other}, "alone": {other}, "none": nil} {
		p := w.pod(t, "admit-other-"+name, map[string]string{epoch: me}, gates...)
		wants(t, "another gate "+name, w.one(t, me, admits(p), p), gate.Stale, "not as the plan saw it")
		if after := w.get(t, p.Name); gatesOf(after) != strings.Join(gates, " ") || after.ResourceVersion != p.ResourceVersion && name != "none" {
			t.Errorf("another gate %s: found gates %q, want %q", name, gatesOf(after), gates)
		}
	}

	impostor := w.pod(t, "admit-uid", map[string]string{epoch: me}, kube.Gate)
	impostor.UID = "00000000-0000-0000-0000-000000000000"
	wants(t, "a pod of another uid", w.one(t, me, admits(impostor), impostor), gate.Stale, "not as the plan saw it")
	impostor.Name = "admit-nobody"
	wants(t, "a pod that is not there", w.one(t, me, admits(impostor), impostor), gate.Gone, "not found")
}

// fences has two leaders, of which one doesn't know that it is none any more.
func (w world) fences(t *testing.T) {
	for _, annotations := range []map[string]string{nil, {"mine": "1"}, {epoch: you}} {
		p := w.pod(t, fmt.Sprintf("fence-%d", len(annotations[epoch])+len(annotations)), annotations, kube.Gate)
		wants(t, "the new leader", w.one(t, me, stamps(me, p), p), gate.Done, "")
		wants(t, "the old one", w.one(t, you, admits(p), p), gate.Stale, "not as the plan saw it")
		if after := w.get(t, p.Name); gatesOf(after) != kube.Gate || after.Annotations[kube.GrantAnnotation] != "" {
			t.Errorf("the old leader let %s through: %v", p.Name, after.Annotations)
		}
		now := w.get(t, p.Name)
		wants(t, "the new one", w.one(t, me, admits(now), now), gate.Done, "")
	}

	// One leader that takes back what was not answered: the term is there already.
	p := w.pod(t, "fence-again", map[string]string{epoch: me}, kube.Gate)
	wants(t, "the same term", w.one(t, me, stamps(me, p), p), gate.Done, "")
	if same := w.get(t, p.Name); same.ResourceVersion != p.ResourceVersion {
		t.Error("a stamp that is there already is expected to change nothing, and so to fence nothing")
	}
	back := me + "/" + p.ResourceVersion
	wants(t, "taken back", w.one(t, me, stamps(back, p), p), gate.Done, "")
	after := w.get(t, p.Name)
	if after.ResourceVersion == p.ResourceVersion || after.Annotations[epoch] != back {
		t.Errorf("a stamp that takes an admission back has to change the version: it was %s and is %s, with %v", p.ResourceVersion, after.ResourceVersion, after.Annotations)
	}
	wants(t, "the admission that was late", w.one(t, me, admits(p), p), gate.Stale, "not as the plan saw it")
	wants(t, "taken back twice", w.one(t, me, stamps(back, p), p), gate.Stale, "modified")
	if again := w.get(t, p.Name); again.ResourceVersion != after.ResourceVersion {
		t.Error("a stamp that is repeated is expected to change nothing")
	}
}

// tell plans a condition for the pods until so many requests have ended.
func (w world) tell(t *testing.T, requests int, pods ...metrics.Pod) {
	t.Helper()
	ended := make(chan gate.Result, 100)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	writer := condition.New(condition.Options{
		Client: w.client.CoreV1().RESTClient(), Leading: func() (string, bool) { return me, true }, Done: func(r gate.Result) { ended <- r },
		State: func() *scaler.State {
			now := time.Now()
			return &scaler.State{At: now, Decisions: []scaler.Decision{{
				Snapshot: policy.Snapshot{Epoch: me, Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{orders: metrics.Known(metrics.Fleet{Pods: pods}, now)}},
				Plan:     policy.Plan{At: now, Workloads: []policy.WorkloadPlan{{ID: orders, Mode: policy.Gate, Reason: policy.ConnectionBudget, Sentence: "10 of 10 are granted"}}},
			}}}
		},
	})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		writer.Run(ctx)
	}()
	for range requests {
		select {
		case <-ended:
		case <-ctx.Done():
			t.Fatal("the conditions were not written")
		}
	}
	cancel()
	<-stopped
}

func (w world) conditions(t *testing.T) {
	p := w.pod(t, "condition", nil, kube.Gate)
	pod := metric(p)
	pod.CreatedAt = p.CreationTimestamp.Add(-time.Minute)
	conditions := func(p *corev1.Pod) string {
		var out []string
		for _, c := range p.Status.Conditions {
			if c.Type == condition.Type {
				out = append(out, fmt.Sprintf("%s %s %s", c.Status, c.Reason, c.Message))
			}
		}
		return strings.Join(out, ", ")
	}
	w.tell(t, 1, pod)
	waiting := w.get(t, p.Name)
	if got, want := conditions(waiting), "False ConnectionBudget 10 of 10 are granted"; got != want || len(waiting.Status.Conditions) != len(p.Status.Conditions)+1 {
		t.Errorf("found %s in %v, want %s", got, waiting.Status.Conditions, want)
	}
	wants(t, "the condition", w.one(t, me, admits(waiting), waiting), gate.Done, "")
	passed := pod
	passed.Gated, passed.Grant = false, map[string]int{"platform/orders-db": 5}
	w.tell(t, 1, passed)
	after := w.get(t, p.Name)
	if got, want := conditions(after), "True Admitted connections reserved: 5 on platform/orders-db"; got != want {
		t.Errorf("found %s, want %s", got, want)
	}
	w.tell(t, 1, passed) // by the next leader, who doesn't know
	if again := w.get(t, p.Name); again.ResourceVersion != after.ResourceVersion {
		t.Errorf("a condition that is there already changed the pod: %v", again.Status.Conditions)
	}
	impostor := pod
	impostor.UID = "00000000-0000-0000-0000-000000000000"
	w.tell(t, 1, impostor)
	if again := w.get(t, p.Name); again.ResourceVersion != after.ResourceVersion {
		t.Errorf("the condition of another pod of that name changed it: %v", again.Status.Conditions)
	}
}

// run makes the pod one that runs and is ready, so that budgets count it.
func (w world) run(t *testing.T, p *corev1.Pod) *corev1.Pod {
	t.Helper()
	p = p.DeepCopy()
	p.Status.Phase = corev1.PodRunning
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue})
	after, err := w.pods.UpdateStatus(t.Context(), p, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return after
}

// leaving reports whether the pod is gone or on its way.
func (w world) leaving(t *testing.T, name string) bool {
	t.Helper()
	p, err := w.pods.Get(t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return true
	}
	if err != nil {
		t.Fatal(err)
	}
	return p.DeletionTimestamp != nil
}

func (w world) evictions(t *testing.T) {
	p := w.run(t, w.pod(t, "evict", nil))
	touched, err := w.pods.Patch(t.Context(), p.Name, types.MergePatchType, []byte(`{"metadata":{"labels":{"touched":"1"}}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, "an earlier version", w.one(t, me, evicts(false, p)), gate.Stale, "ResourceVersion")
	wants(t, "an earlier version, past the budgets", w.one(t, me, evicts(true, p)), gate.Stale, "ResourceVersion")
	impostor := touched.DeepCopy()
	impostor.UID, impostor.ResourceVersion = "00000000-0000-0000-0000-000000000000", ""
	wants(t, "a pod of another uid", w.one(t, me, evicts(false, impostor)), gate.Stale, "UID")
	impostor.Name = "evict-nobody"
	wants(t, "a pod that is not there", w.one(t, me, evicts(false, impostor)), gate.Gone, "not found")
	if w.leaving(t, p.Name) {
		t.Fatal("the pod was evicted by a request for another")
	}
	wants(t, "as it is", w.one(t, me, evicts(false, touched)), gate.Done, "")
	if !w.leaving(t, p.Name) {
		t.Error("the pod stays")
	}

	gated := w.pod(t, "evict-gated", nil, kube.Gate)
	wants(t, "a gated pod", w.one(t, me, evicts(false, gated)), gate.Done, "")
	if !w.leaving(t, gated.Name) {
		t.Error("the gated pod stays")
	}
}

func (w world) budget(t *testing.T, name string) {
	t.Helper()
	all := intstr.FromString("100%")
	budgets := w.admin.PolicyV1().PodDisruptionBudgets(namespace)
	if _, err := budgets.Create(t.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: &all, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "orders"}},
		},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.eventually(t, "the disruption controller to look at "+name, func(ctx context.Context) (bool, error) {
		b, err := budgets.Get(ctx, name, metav1.GetOptions{})
		return err == nil && b.Status.ObservedGeneration == b.Generation && b.Status.DisruptionsAllowed == 0, err
	})
}

func (w world) budgets(t *testing.T) {
	var pods []*corev1.Pod
	for i := range 3 {
		pods = append(pods, w.run(t, w.pod(t, fmt.Sprintf("keep-%d", i), nil)))
	}
	w.budget(t, "first")
	wants(t, "kept by a budget", w.one(t, me, evicts(false, pods[0])), gate.Blocked, "The disruption budget first")
	w.budget(t, "second")
	wants(t, "kept by two", w.one(t, me, evicts(false, pods[0])), gate.Blocked, "more than one PodDisruptionBudget")
	if slices.ContainsFunc(pods, func(p *corev1.Pod) bool { return w.leaving(t, p.Name) }) {
		t.Fatal("a pod was evicted that budgets keep")
	}

	past := w.one(t, me, evicts(true, pods[1]))
	wants(t, "past two", past, gate.Done, "")
	if !past.Deleted || !w.leaving(t, pods[1].Name) {
		t.Errorf("past two budgets: found %+v", past)
	}
	if err := w.admin.PolicyV1().PodDisruptionBudgets(namespace).Delete(t.Context(), "second", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	past = w.one(t, me, evicts(true, w.get(t, pods[2].Name)))
	wants(t, "past one", past, gate.Done, "")
	if !past.Deleted || !w.leaving(t, pods[2].Name) {
		t.Errorf("past one budget: found %+v", past)
	}
	if w.leaving(t, pods[0].Name) {
		t.Error("a pod left that nobody evicted")
	}
}
