package kube

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/fleet"
)

func byTarget(apiVersion, kind, name string) func() []Reference {
	return func() []Reference {
		return []Reference{{Workload: orders, Target: &Target{APIVersion: apiVersion, Kind: kind, Name: name}}}
	}
}

// TestATargetThatKEDADoesNotScale: nothing of KEDA's is asked for, nor has to be
// there.
func TestATargetThatKEDADoesNotScale(t *testing.T) {
	server := newAPIServer(t)
	server.refused[scaledObjects], server.refused[scaledJobs] = 404, 404
	server.set(deployments, `{"metadata": {"namespace": "shop", "name": "orders", "uid": "deploy-1"}, "spec": {"replicas": 3, "strategy": {"type": "Recreate"}}, "status": {"replicas": 2}}`)
	server.set(replicaSets, `{"metadata": {"namespace": "shop", "name": "orders-1", "uid": "rs-1", "annotations": {"deployment.kubernetes.io/revision": "4"}, `+controlled("apps/v1", "Deployment", "deploy-1")+`}}`)
	server.set(statefulSets, `{"metadata": {"namespace": "shop", "name": "orders", "uid": "sts-1"}, "spec": {"replicas": 1, "podManagementPolicy": "Parallel"}}`)
	server.set(pods, podOfSet("a", "rs-1", noon, "10.0.0.1"), podOfSet("stranger", "rs-2", noon, "10.0.0.2"))
	c := server.start(Options{})

	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	got := eventually(t, c, c.Fleets(byTarget("apps/v1", "Deployment", "orders")), "the Deployment", known(orders)).Fleets[orders]
	if diff := cmp.Diff(metrics.Fleet{
		SpecReplicas: 3, StatusReplicas: 2, MaxReplicas: math.MaxInt32, MaxUnavailable: intorpercent.Percent(100),
		Pods: []metrics.Pod{{UID: "uid-a", Name: "a", Address: "10.0.0.1", CreatedAt: at, Revision: 4, Ready: true, Started: true}},
	}, got, compare); diff != "" {
		t.Error(diff)
	}
	got = eventually(t, c, c.Fleets(byTarget("apps/v1", "StatefulSet", "orders")), "the StatefulSet", known(orders)).Fleets[orders]
	if diff := cmp.Diff(metrics.Fleet{SpecReplicas: 1, MaxReplicas: math.MaxInt32, MaxUnavailable: intorpercent.Count(1)}, got, compare); diff != "" {
		t.Error(diff)
	}
	eventually(t, c, c.Fleets(byTarget("apps/v1", "Deployment", "billing")), "one that isn't there", func(s fleet.State, err error) bool {
		return err == nil && s.Missing[orders] == "Deployment shop/billing not found"
	})
}

// loose is a pod that stands in the phase, with these labels and more members.
func loose(name, labels, phase, more string) string {
	return fmt.Sprintf(`{"metadata": {"namespace": "shop", "name": %q, "uid": "uid-%s", "creationTimestamp": %q, "labels": {%s} %s}, "status": {"phase": %q}}`,
		name, name, noon, labels, more, phase)
}

func TestPodsByTheirLabels(t *testing.T) {
	server := newAPIServer(t)
	server.set(pods,
		loose("a", `"app": "orders", "tier": "back"`, "Running", ""),
		loose("b", `"tier": "back", "app": "orders", "more": ""`, "Running", ", "+controlled("apps/v1", "ReplicaSet", "rs-1")),
		loose("c", `"app": "orders"`, "Running", ""),
		loose("d", `"app": "orders", "tier": "front"`, "Running", ""),
		loose("e", `"app": "orders", "tier": "back"`, "Succeeded", ""),
		loose("f", `"app": "orders", "tier": "back"`, "Running", `, "deletionTimestamp": "`+noonPast+`"`),
		`{"metadata": {"namespace": "elsewhere", "name": "a", "uid": "uid-x", "labels": {"app": "orders", "tier": "back"}}}`)
	c := server.start(Options{})
	selector := map[string]string{"app": "orders", "tier": "back"}
	source := c.Fleets(func() []Reference { return []Reference{{Workload: orders, PodSelector: selector}} })
	replicas := func(n int, names ...string) func(fleet.State, error) bool {
		return func(s fleet.State, err error) bool {
			f, ok := s.Fleets[orders]
			return err == nil && ok && f.SpecReplicas == n && f.StatusReplicas == n && f.MaxReplicas == math.MaxInt32 && podsAre(f, names...)
		}
	}
	eventually(t, c, source, "the pods there are", replicas(2, "a", "b", "e", "f"))

	// Pods come, go, and change their labels.
	server.set(pods, loose("g", `"app": "orders", "tier": "back"`, "Pending", ""), loose("c", `"app": "orders", "tier": "back"`, "Running", ""))
	server.remove(pods, "shop/e")
	server.set(pods, loose("a", `"app": "orders", "tier": "gone"`, "Running", ""))
	eventually(t, c, source, "what happened", replicas(3, "b", "c", "f", "g"))

	// Another selector looks among the pods that are there already.
	selector = map[string]string{"app": "orders"}
	eventually(t, c, source, "fewer labels", replicas(5, "a", "b", "c", "d", "f", "g"))
	selector = map[string]string{}
	eventually(t, c, source, "no labels at all", func(s fleet.State, err error) bool {
		return err == nil && s.Missing[orders] == "expected one of a ScaledObject, a ScaledJob, a target and a selector of pods for shop/order-workers, found 0 of them"
	})
	if kept := len(c.selections.kept); kept != 0 {
		t.Errorf("%d selections are kept up to date that nobody uses", kept)
	}
}

// TestWhatIsToldOfPods holds that a reading is asked for when something about a
// governed pod changed, and not each time that somebody writes to it.
func TestWhatIsToldOfPods(t *testing.T) {
	c, err := New(Options{Config: newAPIServer(t).config()})
	if err != nil {
		t.Fatal(err)
	}
	table := c.tables.pods
	c.looked.Store(newLooked())
	c.selections.keep([]selection{selectionOf("shop", map[string]string{"app": "orders"})}, table.all)
	told := func() bool {
		select {
		case <-c.Changed():
			return true
		default:
			return false
		}
	}
	for _, step := range []struct {
		what, version, phase, app string
		want                      bool
	}{
		{"a stranger", "1", "Running", "billing", false},
		{"its labels now fit", "2", "Running", "orders", true},
		{"somebody wrote to it", "3", "Running", "orders", false},
		{"it ended", "4", "Failed", "orders", true},
		{"its labels don't fit any more", "5", "Failed", "billing", true},
		{"it ended otherwise", "6", "Succeeded", "billing", false},
	} {
		p := somePod(0)
		p.Namespace, p.ResourceVersion, p.Labels["app"] = "shop", step.version, step.app
		p.Status.Phase = corev1.PodPhase(step.phase)
		if err := table.Update(p); err != nil {
			t.Fatal(err)
		}
		if got := told(); got != step.want {
			t.Errorf("%s: told is %v, want %v", step.what, got, step.want)
		}
		if facts, _ := c.Pod("shop", p.Name); facts.Version != step.version {
			t.Errorf("%s: the version kept is %s, want %s", step.what, facts.Version, step.version)
		}
	}
	// A patch waits for the version of a gated pod.
	for version, want := range []bool{true, true} {
		p := somePod(1)
		p.Namespace, p.ResourceVersion, p.Labels["app"] = "shop", fmt.Sprint(version), "orders"
		p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: Gate}}
		if err := table.Update(p); err != nil {
			t.Fatal(err)
		}
		if got := told(); got != want {
			t.Errorf("version %d of a gated pod: told is %v, want %v", version, got, want)
		}
	}
}

func TestPodsForThoseWhoWriteToThem(t *testing.T) {
	server := newAPIServer(t)
	gated := func(name, created, annotations string, gates ...string) string {
		list := ""
		for i, g := range gates {
			if i > 0 {
				list += ", "
			}
			list += fmt.Sprintf(`{"name": %q}`, g)
		}
		return fmt.Sprintf(`{"metadata": {"namespace": "shop", "name": %q, "uid": "uid-%s", "creationTimestamp": %q, "annotations": {%s}},
			"spec": {"schedulingGates": [%s]}, "status": {"phase": "Pending"}}`, name, name, created, annotations, list)
	}
	server.set(pods,
		gated("late", noonPast, `"keda-headroom.github.io/epoch": "headroom-0_f3a9"`, "example.com/quota", Gate),
		gated("early", noon, "", Gate),
		gated("others", noon, "", "example.com/quota"),
		podOfSet("free", "rs-1", noon, "10.0.0.1"))
	c := server.start(Options{})
	eventually(t, c, c.Fleets(func() []Reference { return nil }), "the first reading", func(_ fleet.State, err error) bool { return err == nil })

	var names []string
	for _, p := range c.Gated() {
		names = append(names, p.ID.String())
	}
	if want := []string{"shop/early", "shop/late"}; !slices.Equal(names, want) {
		t.Errorf("gated pods: %v, want %v", names, want)
	}
	for name, want := range map[string]PodFacts{
		"late":   {UID: "uid-late", Version: "1", Epoch: "headroom-0_f3a9", Gate: 1, Gates: 2, Created: time.Date(2026, 3, 1, 12, 1, 0, 0, time.UTC)},
		"early":  {UID: "uid-early", Version: "2", Gate: 0, Gates: 1, Created: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)},
		"others": {UID: "uid-others", Version: "3", Gate: -1, Gates: 1, Created: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)},
	} {
		got, ok := c.Pod("shop", name)
		if diff := cmp.Diff(want, got); diff != "" || !ok {
			t.Errorf("%s: %v %s", name, ok, diff)
		}
	}
	if _, ok := c.Pod("shop", "nobody"); ok {
		t.Error("there is a pod nobody")
	}

	// A quorum list names every pod; what the watch hasn't shown yet is absent.
	listed, err := c.ListPods(t.Context())
	if err != nil || len(listed) != 4 {
		t.Fatalf("listed %v, %v; want four pods", listed, err)
	}
	if absent := c.Absent(listed); len(absent) != 0 {
		t.Errorf("absent: %v, want none", absent)
	}
	unseen := PodRef{ID: metrics.ID{Namespace: "shop", Name: "late"}, UID: "its-namesake"}
	if absent := c.Absent(append(listed, unseen)); !slices.Equal(absent, []PodRef{unseen}) {
		t.Errorf("absent: %v, want the pod of another uid", absent)
	}
	server.change(func() { server.refused[pods] = 403 })
	if _, err := c.ListPods(t.Context()); err == nil {
		t.Error("a list that is refused gave no error")
	}

	// Once let through it is not among the gated any more.
	server.set(pods, gated("early", noon, ""))
	eventually(t, c, c.Fleets(func() []Reference { return nil }), "the gate that went", func(fleet.State, error) bool {
		left := c.Gated()
		return len(left) == 1 && left[0].ID.Name == "late"
	})
}

func TestLabels(t *testing.T) {
	set := map[string]string{"a": "1", "b/c": "", "d": "x-y.z_"}
	text := labelTextOf(set)
	for name, want := range set {
		if got, ok := text.Lookup(name); !ok || got != want || !text.Has(name) || text.Get(name) != want {
			t.Errorf("%s: %q, %v; want %q", name, got, ok, want)
		}
	}
	for _, name := range []string{"", "c", "1", "a=1", "b"} {
		if text.Has(name) || text.Get(name) != "" {
			t.Errorf("there is a label %q in %q", name, text)
		}
	}
	if labelTextOf(nil) != "" || labelText("").Has("") {
		t.Error("no labels have one")
	}
}
