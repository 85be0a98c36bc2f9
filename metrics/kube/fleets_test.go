package kube

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/fleet"
)

const (
	noon     = "2026-03-01T12:00:00Z"
	noonPast = "2026-03-01T12:01:00Z"
)

// controlled is an ownerReferences member.
func controlled(apiVersion, kind, uid string) string {
	return fmt.Sprintf(`"ownerReferences": [{"apiVersion": %q, "kind": %q, "name": "x", "uid": %q, "controller": true}]`, apiVersion, kind, uid)
}

// podOfSet is a pod of a ReplicaSet, running and ready.
func podOfSet(name, set, created, address string) string {
	return fmt.Sprintf(`{"metadata": {"namespace": "shop", "name": %q, "uid": "uid-%s", "creationTimestamp": %q, "labels": {"app": "orders"}, %s},
		"status": {"phase": "Running", "podIP": %q, "conditions": [{"type": "Ready", "status": "True"}]}}`,
		name, name, created, controlled("apps/v1", "ReplicaSet", set), address)
}

// ordersFleet puts a Deployment in mid-rollout, its ScaledObject and its HPA.
func (s *apiServer) ordersFleet() {
	s.set(scaledObjects, `{"metadata": {"namespace": "shop", "name": "order-workers", "uid": "so-1"}, "spec": {
		"scaleTargetRef": {"name": "orders"}, "maxReplicaCount": 40, "minReplicaCount": 1, "idleReplicaCount": 0,
		"triggers": [{"type": "external-push", "metadata": {"workload": "order-workers"}}]}}`)
	s.set(hpas, `{"metadata": {"namespace": "shop", "name": "keda-hpa-order-workers", "uid": "hpa-1", `+controlled("keda.sh/v1alpha1", "ScaledObject", "so-1")+`}, "spec": {
		"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "orders"}, "minReplicas": 1, "maxReplicas": 40,
		"behavior": {"scaleDown": {"stabilizationWindowSeconds": 60, "tolerance": "25m"}}}}`)
	s.set(deployments, `{"metadata": {"namespace": "shop", "name": "orders", "uid": "deploy-1"}, "spec": {"replicas": 3,
		"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2}}}, "status": {"replicas": 4}}`)
	s.set(replicaSets,
		`{"metadata": {"namespace": "shop", "name": "orders-old", "uid": "rs-old", "annotations": {"deployment.kubernetes.io/revision": "9"}, `+controlled("apps/v1", "Deployment", "deploy-1")+`}}`,
		`{"metadata": {"namespace": "shop", "name": "orders-new", "uid": "rs-new", "annotations": {"deployment.kubernetes.io/revision": "10"}, `+controlled("apps/v1", "Deployment", "deploy-1")+`}}`,
		`{"metadata": {"namespace": "shop", "name": "other", "uid": "rs-other", "annotations": {"deployment.kubernetes.io/revision": "3"}, `+controlled("apps/v1", "Deployment", "deploy-2")+`}}`)
	s.set(pods,
		podOfSet("b", "rs-old", noon, "10.0.0.2"),
		podOfSet("a", "rs-old", noon, "10.0.0.1"),
		`{"metadata": {"namespace": "shop", "name": "c", "uid": "uid-c", "creationTimestamp": "`+noonPast+`", "labels": {"app": "orders"}, `+controlled("apps/v1", "ReplicaSet", "rs-new")+`},
			"spec": {"schedulingGates": [{"name": "example.com/quota"}, {"name": "keda-headroom.github.io/connections"}]}, "status": {"phase": "Pending"}}`,
		podOfSet("stranger", "rs-other", noon, "10.0.0.9"), // of another, though the labels are the same
		`{"metadata": {"namespace": "shop", "name": "naked", "uid": "uid-naked", "creationTimestamp": "`+noon+`", "labels": {"app": "orders"}}, "status": {"phase": "Running"}}`)
}

func known(id metrics.ID) func(fleet.State, error) bool {
	return func(s fleet.State, err error) bool {
		_, ok := s.Fleets[id]
		return err == nil && ok
	}
}

// compare leaves out versions, which are the server's own.
var compare = cmp.Options{
	cmp.AllowUnexported(intorpercent.Value{}),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Version" }, cmp.Ignore()),
}

func TestADeploymentInMidRollout(t *testing.T) {
	for _, lists := range []bool{false, true} {
		t.Run(fmt.Sprintf("the server can't stream lists: %v", lists), func(t *testing.T) {
			server := newAPIServer(t)
			server.cut = lists
			server.ordersFleet()
			c := server.start(Options{})
			source := c.Fleets(ordersByScaledObject)
			got := eventually(t, c, source, "the first reading", known(orders))

			early, late := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), time.Date(2026, 3, 1, 12, 1, 0, 0, time.UTC)
			want := fleet.State{Missing: map[metrics.ID]string{}, Fleets: map[metrics.ID]metrics.Fleet{orders: {
				SpecReplicas: 3, StatusReplicas: 4, MinReplicas: 1, MaxReplicas: 40, MaxSurge: intorpercent.Count(2), MaxUnavailable: intorpercent.Percent(25),
				HPA: metrics.HPA{ScaleDownToleranceMilli: 25, ScaleDownStabilization: time.Minute},
				Pods: []metrics.Pod{
					{UID: "uid-a", Name: "a", Address: "10.0.0.1", CreatedAt: early, Revision: 9, Ready: true, Started: true},
					{UID: "uid-b", Name: "b", Address: "10.0.0.2", CreatedAt: early, Revision: 9, Ready: true, Started: true},
					{UID: "uid-c", Name: "c", CreatedAt: late, Revision: 10, Gated: true, OtherGates: true},
				},
			}}}
			if diff := cmp.Diff(want, got, compare); diff != "" {
				t.Error(diff)
			}
			if o, ok := c.ScaledObject(orders); !ok || o.Max() != 40 || o.UID != "so-1" {
				t.Errorf("ScaledObject: %+v, %v", o, ok)
			}
			if _, ok := c.Deployment(metrics.ID{Namespace: "shop", Name: "orders"}); !ok || len(c.HPAs()) != 1 || len(c.ScaledObjects()) != 1 {
				t.Errorf("Deployment: %v, %d HPAs, %d ScaledObjects; want one each", ok, len(c.HPAs()), len(c.ScaledObjects()))
			}

			// Everything that happens to the pods is followed.
			server.remove(pods, "shop/b")
			server.set(pods, `{"metadata": {"namespace": "shop", "name": "c", "uid": "uid-c", "creationTimestamp": "`+noonPast+`",
				"annotations": {"keda-headroom.github.io/grant": "{\"platform/orders-db\": 5}"}, `+controlled("apps/v1", "ReplicaSet", "rs-new")+`},
				"spec": {"schedulingGates": [{"name": "example.com/quota"}]}, "status": {"phase": "Pending"}}`,
				`{"metadata": {"namespace": "shop", "name": "a", "uid": "uid-a", "creationTimestamp": "`+noon+`", "deletionTimestamp": "`+noonPast+`", `+controlled("apps/v1", "ReplicaSet", "rs-old")+`},
				"status": {"phase": "Failed", "podIP": "10.0.0.1"}}`)
			state := eventually(t, c, source, "what happened", func(s fleet.State, err error) bool {
				return err == nil && podsAre(s.Fleets[orders], "a", "c") && s.Fleets[orders].Pods[0].Finished
			})
			if diff := cmp.Diff([]metrics.Pod{
				{UID: "uid-a", Name: "a", Address: "10.0.0.1", CreatedAt: early, Revision: 9, Started: true, Terminating: true, Finished: true},
				{UID: "uid-c", Name: "c", CreatedAt: late, Revision: 10, OtherGates: true, Grant: map[string]int{"platform/orders-db": 5}},
			}, state.Fleets[orders].Pods, compare); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAStatefulSet(t *testing.T) {
	server := newAPIServer(t)
	server.set(scaledObjects, `{"metadata": {"namespace": "shop", "name": "order-workers", "uid": "so-1"}, "spec": {"scaleTargetRef": {"name": "orders", "kind": "StatefulSet"},
		"advanced": {"horizontalPodAutoscalerConfig": {"name": "own-name", "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0, "tolerance": "0"}}}}, "triggers": []}}`)
	// An HPA of that name that scales something else is not the ScaledObject's.
	server.set(hpas, `{"metadata": {"namespace": "shop", "name": "own-name", "uid": "hpa-9"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "elsewhere"}, "maxReplicas": 3}}`)
	server.set(statefulSets, `{"metadata": {"namespace": "shop", "name": "orders", "uid": "sts-1"}, "spec": {}, "status": {"replicas": 2}}`)
	server.set(revisions, `{"metadata": {"namespace": "shop", "name": "orders-1a", "uid": "cr-1", `+controlled("apps/v1", "StatefulSet", "sts-1")+`}, "revision": 3}`,
		`{"metadata": {"namespace": "shop", "name": "orders-2b", "uid": "cr-2", `+controlled("apps/v1", "StatefulSet", "sts-1")+`}, "revision": 4}`)
	for ordinal, hash := range []string{"orders-1a", "orders-2b", "orders-gone"} {
		server.set(pods, fmt.Sprintf(`{"metadata": {"namespace": "shop", "name": "orders-%d", "uid": "uid-%d", "creationTimestamp": %q, "labels": {"controller-revision-hash": %q}, %s}, "status": {"phase": "Running"}}`,
			ordinal+9, ordinal, noon, hash, controlled("apps/v1", "StatefulSet", "sts-1")))
	}
	c := server.start(Options{})
	got := eventually(t, c, c.Fleets(ordersByScaledObject), "the first reading", known(orders)).Fleets[orders]
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	want := metrics.Fleet{
		SpecReplicas: 1, StatusReplicas: 2, MaxUnavailable: intorpercent.Count(1), Ordered: true,
		MaxReplicas: 100, // no HPA yet: as the ScaledObject asks for it
		Pods: []metrics.Pod{
			{UID: "uid-0", Name: "orders-9", CreatedAt: at, Revision: 3, Ordinal: 9, Started: true},
			{UID: "uid-1", Name: "orders-10", CreatedAt: at, Revision: 4, Ordinal: 10, Started: true},
			{UID: "uid-2", Name: "orders-11", CreatedAt: at, Ordinal: 11, Started: true},
		},
	}
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Error(diff)
	}
}

func TestAScaledJob(t *testing.T) {
	server := newAPIServer(t)
	server.set(scaledJobs, `{"metadata": {"namespace": "shop", "name": "order-jobs", "uid": "sj-1"}, "spec": {"minReplicaCount": 2, "maxReplicaCount": 30,
		"jobTargetRef": {"podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}, "template": {"spec": {"containers": [{"name": "a", "image": "b"}]}}}, "triggers": [],
		"scalingStrategy": {"strategy": "custom", "customScalingQueueLengthDeduction": 3, "customScalingRunningJobPercentage": "0.5"}}}`)
	owner, label := controlled("keda.sh/v1alpha1", "ScaledJob", "sj-1"), `"labels": {"scaledjob.keda.sh/name": "order-jobs"}`
	server.set(jobs,
		`{"metadata": {"namespace": "shop", "name": "done", "uid": "job-done", "creationTimestamp": "2026-03-01T12:00:07Z", `+label+`, `+owner+`}, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}`,
		`{"metadata": {"namespace": "shop", "name": "runs", "uid": "job-runs", "creationTimestamp": "2026-03-01T12:00:05Z", `+label+`, `+owner+`}, "status": {"conditions": [{"type": "Suspended", "status": "True"}]}}`,
		`{"metadata": {"namespace": "shop", "name": "gated", "uid": "job-gated", `+label+`, `+owner+`}}`,
		`{"metadata": {"namespace": "shop", "name": "bare", "uid": "job-bare", `+label+`}}`,
		`{"metadata": {"namespace": "shop", "name": "others", "uid": "job-others", "labels": {"scaledjob.keda.sh/name": "else"}}}`)
	pod := func(name, job, phase, more string) string {
		return fmt.Sprintf(`{"metadata": {"namespace": "shop", "name": %q, "uid": "uid-%s", "creationTimestamp": %q, %s}, %s "status": {"phase": %q}}`,
			name, name, noon, controlled("batch/v1", "Job", job), more, phase)
	}
	server.set(pods, pod("a", "job-done", "Succeeded", ""), pod("b", "job-runs", "Running", ""),
		pod("c", "job-gated", "Pending", `"spec": {"schedulingGates": [{"name": "keda-headroom.github.io/connections"}]},`), pod("d", "job-others", "Running", ""))
	c := server.start(Options{})
	id := metrics.ID{Namespace: "shop", Name: "order-jobs"}
	source := c.Fleets(func() []Reference { return []Reference{{Workload: id, ScaledJob: "order-jobs"}} })
	got := eventually(t, c, source, "the first reading", known(id)).Fleets[id]
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	want := metrics.Fleet{
		SpecReplicas: 3, StatusReplicas: 3, MinReplicas: 2, MaxReplicas: 30,
		Jobs: &metrics.Jobs{Strategy: metrics.JobsCustom, Running: 3, Pending: 2, Newest: at.Add(7 * time.Second), Deduction: 3, RunningShare: 0.5, Disposable: true},
		Pods: []metrics.Pod{
			{UID: "uid-a", Name: "a", CreatedAt: at, Started: true, Finished: true},
			{UID: "uid-b", Name: "b", CreatedAt: at, Started: true},
			{UID: "uid-c", Name: "c", CreatedAt: at, Gated: true},
		},
	}
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Error(diff)
	}
	// A Job that begins stops being pending.
	server.set(pods, pod("c", "job-gated", "Running", ""))
	eventually(t, c, source, "the Job that began", func(s fleet.State, err error) bool {
		return err == nil && s.Fleets[id].Jobs.Pending == 1
	})
	if j, ok := c.ScaledJob(id); !ok || len(j.Spec.JobTargetRef.Template.Spec.Containers) != 0 || len(c.ScaledJobs()) != 1 {
		t.Errorf("ScaledJob: %+v, %v; want no containers", j, ok)
	}
}

func TestATargetOfAnotherKind(t *testing.T) {
	server := newAPIServer(t)
	server.plain["/api"] = `{"kind": "APIVersions", "versions": ["v1"]}`
	server.plain["/api/v1"] = `{"kind": "APIResourceList", "groupVersion": "v1", "resources": []}`
	server.plain["/apis"] = `{"kind": "APIGroupList", "apiVersion": "v1", "groups": [{"name": "argoproj.io", "versions": [{"groupVersion": "argoproj.io/v1alpha1", "version": "v1alpha1"}], "preferredVersion": {"groupVersion": "argoproj.io/v1alpha1", "version": "v1alpha1"}}]}`
	server.plain["/apis/argoproj.io/v1alpha1"] = `{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "argoproj.io/v1alpha1", "resources": [
		{"name": "rollouts", "singularName": "rollout", "namespaced": true, "kind": "Rollout", "verbs": ["get"]},
		{"name": "rollouts/scale", "namespaced": true, "group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": ["get"]}]}`
	const path = "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/orders/scale"
	server.plain[path] = `{"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"namespace": "shop", "name": "orders", "uid": "ro-1"},
		"spec": {"replicas": 5}, "status": {"replicas": 6, "selector": "app=orders"}}`
	server.set(scaledObjects, `{"metadata": {"namespace": "shop", "name": "order-workers", "uid": "so-1"}, "spec": {"scaleTargetRef": {"name": "orders", "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}, "triggers": []}}`)
	server.set(replicaSets, `{"metadata": {"namespace": "shop", "name": "orders-1", "uid": "rs-1", "annotations": {"rollout.argoproj.io/revision": "7"}, `+controlled("argoproj.io/v1alpha1", "Rollout", "ro-1")+`}}`)
	server.set(pods, podOfSet("a", "rs-1", noon, "10.0.0.1"), podOfSet("stranger", "rs-2", noon, "10.0.0.2"),
		`{"metadata": {"namespace": "shop", "name": "b", "uid": "uid-b", "creationTimestamp": "`+noon+`", "labels": {"app": "orders"}, `+controlled("example.com/v1", "Thing", "thing-1")+`}}`,
		`{"metadata": {"namespace": "shop", "name": "c", "uid": "uid-c", "creationTimestamp": "`+noon+`", "labels": {"app": "else"}, `+controlled("example.com/v1", "Thing", "thing-1")+`}}`)
	c := server.start(Options{})
	source := c.Fleets(ordersByScaledObject)
	got := eventually(t, c, source, "the first reading", known(orders)).Fleets[orders]
	if got.SpecReplicas != 5 || got.StatusReplicas != 6 || got.MaxSurge != intorpercent.Percent(25) || !podsAre(got, "a", "b") || got.Pods[0].Revision != 7 {
		t.Errorf("got %+v", got)
	}

	// Its workload alone is missing where it can't be read.
	server.change(func() { server.refused[path] = 403 })
	eventually(t, c, source, "the missing permission", func(s fleet.State, err error) bool {
		return err == nil && s.Missing[orders] == "Rollout shop/orders: needs permission to get rollouts/scale of argoproj.io: refused "+path+" for the test (ScaledObject shop/order-workers scales it)"
	})
	server.change(func() { delete(server.refused, path) })
	server.set(scaledObjects, `{"metadata": {"namespace": "shop", "name": "order-workers", "uid": "so-1"}, "spec": {"scaleTargetRef": {"name": "orders", "apiVersion": "example.com/v1", "kind": "Thing"}, "triggers": []}}`)
	eventually(t, c, source, "the unknown kind", func(s fleet.State, err error) bool {
		return err == nil && s.Missing[orders] == "Thing shop/orders: the API server has no kind Thing in example.com/v1 (ScaledObject shop/order-workers scales it)"
	})
}
