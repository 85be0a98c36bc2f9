package kube

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unique"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/metrics"
)

func decode[T any](t *testing.T, text string) *T {
	t.Helper()
	out := new(T)
	if err := json.Unmarshal([]byte(text), out); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return out
}

func TestPods(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		json string
		want pod
	}{
		"empty": {`{}`, pod{created: time.Time{}}},
		"ready": {
			`{"metadata": {"creationTimestamp": "2026-03-01T13:00:00+01:00", "labels": {"app": "a"}}, "status": {"phase": "Running", "podIP": "fd00::1", "conditions": [{"type": "Ready", "status": "True"}]}}`,
			pod{created: at, phase: running, address: "fd00::1", ready: true, labels: unique.Make[labelText]("app=a")},
		},
		"not ready":                 {`{"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}}`, pod{phase: running}},
		"gated":                     {`{"spec": {"schedulingGates": [{"name": "keda-headroom.github.io/connections"}]}}`, pod{place: 1, gates: 1}},
		"gated behind another":      {`{"spec": {"schedulingGates": [{"name": "kueue.x-k8s.io/admission"}, {"name": "keda-headroom.github.io/connections"}]}}`, pod{place: 2, gates: 2}},
		"fenced":                    {`{"metadata": {"resourceVersion": "81417", "annotations": {"keda-headroom.github.io/epoch": "headroom-0_f3a9"}}}`, pod{version: "81417", epoch: unique.Make("headroom-0_f3a9")}},
		"gated by another":          {`{"spec": {"schedulingGates": [{"name": "kueue.x-k8s.io/admission"}]}}`, pod{gates: 1}},
		"being deleted":             {`{"metadata": {"deletionTimestamp": "2026-03-01T12:00:00Z"}}`, pod{terminating: true}},
		"succeeded":                 {`{"status": {"phase": "Succeeded"}}`, pod{phase: succeeded}},
		"failed":                    {`{"status": {"phase": "Failed"}}`, pod{phase: failed}},
		"on a node that is away":    {`{"status": {"phase": "Unknown"}}`, pod{phase: lost}},
		"granted":                   {`{"metadata": {"annotations": {"keda-headroom.github.io/grant": "{\"a/b\": 5, \"a/c\": 0}"}}}`, pod{grant: map[string]int{"a/b": 5, "a/c": 0}}},
		"granted nothing":           {`{"metadata": {"annotations": {"keda-headroom.github.io/grant": "{}"}}}`, pod{grant: map[string]int{}}},
		"of a StatefulSet":          {`{"metadata": {"labels": {"controller-revision-hash": "x-1"}, ` + controlled("apps/v1", "StatefulSet", "u") + `}}`, pod{revision: unique.Make("x-1"), labels: unique.Make[labelText]("controller-revision-hash=x-1")}},
		"of a ReplicaSet":           {`{"metadata": {"labels": {"controller-revision-hash": "x-1"}, ` + controlled("apps/v1", "ReplicaSet", "u") + `}}`, pod{labels: unique.Make[labelText]("controller-revision-hash=x-1")}},
		"of another's StatefulSet":  {`{"metadata": {"labels": {"c": "", "a": "b"}, ` + controlled("apps.kruise.io/v1", "StatefulSet", "u") + `}}`, pod{foreign: true, labels: unique.Make[labelText]("a=b,c=")}},
		"of a node":                 {`{"metadata": {"labels": {"a": "b"}, ` + controlled("v1", "Node", "u") + `}}`, pod{labels: unique.Make[labelText]("a=b")}},
		"of a Job, with conditions": {`{"metadata": {` + controlled("batch/v1", "Job", "u") + `}, "status": {"conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}]}}`, pod{conditions: []unique.Handle[string]{unique.Make("PodScheduled")}}},
	} {
		if test.want.revision == (unique.Handle[string]{}) {
			test.want.revision = unique.Make("")
		}
		if test.want.epoch == (unique.Handle[string]{}) {
			test.want.epoch = unique.Make("")
		}
		if test.want.labels == (unique.Handle[labelText]{}) {
			test.want.labels = unique.Make(labelText(""))
		}
		got := podOf(decode[corev1.Pod](t, test.json))
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(pod{}), cmp.Comparer(func(a, b unique.Handle[string]) bool { return a == b }), cmp.Comparer(func(a, b unique.Handle[labelText]) bool { return a == b })); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	finished := metric(&row[pod]{name: "a", uid: "b", value: podOf(decode[corev1.Pod](t, `{"status": {"phase": "Failed", "podIP": "10.0.0.1"}}`))})
	if finished.Holds() || finished.Name != "a" || finished.UID != "b" {
		t.Errorf("a failed pod: %+v", finished)
	}
	for phase, want := range map[string]bool{"": false, "Pending": false, "Running": true, "Succeeded": true, "Failed": true, "Unknown": true, "New": true} {
		got := metric(&row[pod]{value: podOf(decode[corev1.Pod](t, fmt.Sprintf(`{"status": {"phase": %q}}`, phase)))})
		if got.Started != want {
			t.Errorf("a pod in phase %q: started is %v, want %v", phase, got.Started, want)
		}
	}
}

func TestGrants(t *testing.T) {
	for _, bad := range []string{
		"", "five", "null", "5", "[]", `{"a/b": -1}`, `{"a/b": 1.5}`, `{"a/b": "5"}`, `{"a/b": null}`, `{"a": 1}`, `{"/": 1}`,
		`{"a/b": 99999999999}`, `{"a/b": 1} {}`, `{"a/b": true}`,
	} {
		got, err := ParseGrant(bad)
		if err == nil || got != nil {
			t.Errorf("ParseGrant(%q) = %v, want an error", bad, got)
		} else if !strings.Contains(err.Error(), "expected") {
			t.Errorf("ParseGrant(%q): %v, want an error that says what was expected", bad, err)
		}
	}
}

func FuzzGrant(f *testing.F) {
	for _, seed := range []string{`{"platform/orders-db": 5}`, `{}`, `null`, `{"a/b": -1}`, `{"a/b": 2147483647}`, strings.Repeat(`{"a":`, 50)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		grant, err := ParseGrant(text)
		if (err == nil) != (grant != nil) {
			t.Fatalf("%v and %v", grant, err)
		}
		for name, connections := range grant {
			if id, err := metrics.ParseID(name); err != nil || id.String() != name || connections < 0 || connections > math.MaxInt32 {
				t.Errorf("%q: %d", name, connections)
			}
		}
	})
}

func TestRollouts(t *testing.T) {
	quarter, all := intorpercent.Percent(25), intorpercent.Percent(100)
	for text, want := range map[string]struct{ surge, unavailable intorpercent.Value }{
		`{}`:                        {quarter, quarter},
		`{"type": "RollingUpdate"}`: {quarter, quarter},
		`{"type": "Recreate"}`:      {unavailable: all},
		`{"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0}}`:                              {unavailable: quarter},
		`{"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 0}}`:         {surge: intorpercent.Count(3)},
		`{"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 2}}`:    {all, intorpercent.Count(2)},
		`{"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "odd", "maxUnavailable": "50%"}}`: {quarter, intorpercent.Percent(50)},
	} {
		strategy := *decode[appsv1.DeploymentStrategy](t, text)
		if surge, unavailable := maxSurge(strategy), maxUnavailable(strategy); surge != want.surge || unavailable != want.unavailable {
			t.Errorf("%s: got %v and %v, want %v", text, surge, unavailable, want)
		}
	}
	for text, want := range map[string]intorpercent.Value{
		`{}`: intorpercent.Count(1),
		`{"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}`:          intorpercent.Count(1),
		`{"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "30%"}}`: intorpercent.Percent(30),
		`{"type": "OnDelete"}`: {},
	} {
		if got := setMaxUnavailable(*decode[appsv1.StatefulSetUpdateStrategy](t, text)); got != want {
			t.Errorf("a StatefulSet with %s: got %v, want %v", text, got, want)
		}
	}
	for policy, want := range map[appsv1.PodManagementPolicyType]bool{"": true, "OrderedReady": true, "Parallel": false} {
		if got := ordered(policy); got != want {
			t.Errorf("podManagementPolicy %q: ordered is %v, want %v", policy, got, want)
		}
	}
}

// TestWhatAnEvictionDoesToAJob has the rules of podFailurePolicy in the order in
// which they are tried.
func TestWhatAnEvictionDoesToAJob(t *testing.T) {
	const ignored = `{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}`
	for rules, want := range map[string]bool{
		``:      false,
		ignored: true,
		`{"action": "Ignore", "onPodConditions": [{"type": "ConfigIssue"}, {"type": "DisruptionTarget", "status": "True"}]}`: true,
		`{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "False"}]}`:                         false,
		`{"action": "Count", "onPodConditions": [{"type": "DisruptionTarget"}]}, ` + ignored:                                 false,
		// The example of Kubernetes' own documentation: an exit code that is a bug.
		`{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}, ` + ignored:               true,
		`{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42, 143]}}, ` + ignored:          false,
		`{"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [1]}}, ` + ignored:             false,
		`{"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [130, 137, 143]}}, ` + ignored: true,
		`{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [143]}}, ` + ignored:               true,
		`{"action": "FailJob", "onPodConditions": [{"type": "ConfigIssue"}]}, ` + ignored:                    true,
	} {
		policy := decode[batchv1.PodFailurePolicy](t, `{"rules": [`+rules+`]}`)
		if got := kedaapi.Disposable(policy); got != want {
			t.Errorf("rules %s: disposable is %v, want %v", rules, got, want)
		}
	}
	if kedaapi.Disposable(nil) {
		t.Error("a Job without podFailurePolicy counts evicted pods as failed")
	}
}

func TestFollows(t *testing.T) {
	for text, want := range map[string]metrics.HPA{
		`{}`:                {ScaleDownToleranceMilli: 100, ScaleDownStabilization: 5 * time.Minute},
		`{"scaleUp": {}}`:   {ScaleDownToleranceMilli: 100, ScaleDownStabilization: 5 * time.Minute},
		`{"scaleDown": {}}`: {ScaleDownToleranceMilli: 100, ScaleDownStabilization: 5 * time.Minute},
		`{"scaleDown": {"tolerance": "0", "stabilizationWindowSeconds": 0}}`:       {},
		`{"scaleDown": {"tolerance": "0.05", "stabilizationWindowSeconds": 3600}}`: {ScaleDownToleranceMilli: 50, ScaleDownStabilization: time.Hour},
		`{"scaleDown": {"tolerance": "10100u"}}`:                                   {ScaleDownToleranceMilli: 11, ScaleDownStabilization: 5 * time.Minute},
		`{"scaleDown": {"tolerance": "1m"}}`:                                       {ScaleDownToleranceMilli: 1, ScaleDownStabilization: 5 * time.Minute},
		`{"scaleDown": {"tolerance": -1, "stabilizationWindowSeconds": -1}}`:       {},
	} {
		if got := followsBy(decode[autoscalingv2.HorizontalPodAutoscalerBehavior](t, text), 100); got != want {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
	if got := followsBy(nil, 50); got != (metrics.HPA{ScaleDownToleranceMilli: 50, ScaleDownStabilization: 5 * time.Minute}) {
		t.Errorf("no behavior: %+v", got)
	}
	for share, want := range map[float64]int{0.1: 100, 0.05: 50, 0.2: 200, 0.0301: 31, 1: 1000, 0.3: 300, 0.007: 7, 1e-9: 1} {
		if got := milli(share); got != want {
			t.Errorf("milli(%v) = %d, want %d", share, got, want)
		}
	}
}

func TestNumbersInNames(t *testing.T) {
	for name, want := range map[string]int{"web-0": 0, "web-10": 10, "web": 0, "web-x": 0, "": 0, "web-2147483647": math.MaxInt32, "web-99999999999": 0, "a-+1": 0} {
		if got := ordinalOf(name); got != want {
			t.Errorf("ordinal of %q: %d, want %d", name, got, want)
		}
	}
	for text, want := range map[string]int64{`{}`: 0, `{"deployment.kubernetes.io/revision": "12"}`: 12, `{"deployment.kubernetes.io/revision": "x"}`: 0, `{"rollout.argoproj.io/revision": "3"}`: 3} {
		if got := revisionOf(*decode[map[string]string](t, text)); got != want {
			t.Errorf("revision of %s: %d, want %d", text, got, want)
		}
	}
}

func TestJobsAreCountedAsKEDADoes(t *testing.T) {
	podsOf := map[string][]*row[pod]{
		"running":   {{value: pod{phase: running}}},
		"succeeded": {{value: pod{}}, {value: pod{phase: succeeded}}},
		"failed":    {{value: pod{phase: failed}}},
		"pending":   {{value: pod{conditions: []unique.Handle[string]{unique.Make("PodScheduled")}}}},
		"none":      nil,
		"ready":     {{value: pod{phase: running, conditions: []unique.Handle[string]{unique.Make("PodScheduled"), unique.Make("Ready")}}}},
	}
	var all []*row[job]
	for name := range podsOf {
		all = append(all, &row[job]{name: name})
	}
	all = append(all, &row[job]{name: "finished", value: job{finished: true}})
	for text, want := range map[string]metrics.Jobs{
		`{}`:                       {Strategy: metrics.JobsDefault, Pending: 3},
		`{"strategy": "accurate"}`: {Strategy: metrics.JobsAccurate, Pending: 3},
		`{"strategy": "eager"}`:    {Strategy: metrics.JobsEager, Pending: 3},
		`{"strategy": "default"}`:  {Strategy: metrics.JobsDefault, Pending: 3},
		`{"strategy": "clever"}`:   {Strategy: metrics.JobsDefault, Pending: 3},
		`{"strategy": "custom"}`:   {Strategy: metrics.JobsDefault, Pending: 3},
		`{"strategy": "custom", "customScalingRunningJobPercentage": "NaN"}`:                                           {Strategy: metrics.JobsDefault, Pending: 3},
		`{"strategy": "custom", "customScalingRunningJobPercentage": "0.25", "customScalingQueueLengthDeduction": -2}`: {Strategy: metrics.JobsCustom, Pending: 3, RunningShare: 0.25, Deduction: -2},
		`{"pendingPodConditions": ["PodScheduled"]}`:                                                                   {Strategy: metrics.JobsDefault, Pending: 4},
		`{"pendingPodConditions": ["PodScheduled", "Ready"]}`:                                                          {Strategy: metrics.JobsDefault, Pending: 5},
		`{"pendingPodConditions": ["PodScheduled", "PodScheduled"]}`:                                                   {Strategy: metrics.JobsDefault, Pending: 6},
	} {
		var o kedaapi.ScaledJob
		o.Spec.ScalingStrategy = *decode[kedaapi.ScalingStrategy](t, text)
		want.Running = 6
		got := jobsOf(o, all, func(j *row[job]) []*row[pod] { return podsOf[j.name] })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	for text, want := range map[string]job{
		`{}`: {},
		`{"metadata": {"labels": {"scaledjob.keda.sh/name": "a"}}, "status": {"conditions": [{"type": "Complete", "status": "False"}, {"type": "FailureTarget", "status": "True"}]}}`: {scaledJob: "a"},
		`{"status": {"conditions": [{"type": "Complete", "status": "True"}]}}`:                                                                                                        {finished: true},
		`{"status": {"conditions": [{"type": "Failed", "status": "True"}]}}`:                                                                                                          {finished: true},
	} {
		if got := jobOf(decode[batchv1.Job](t, text)); got != want {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}

const fullScaledObject = `{"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"namespace": "shop", "name": "orders", "uid": "u", "resourceVersion": "7",
	"creationTimestamp": "2026-03-01T12:00:00Z", "labels": {"a": "b"}, "managedFields": [{"manager": "kubectl"}],
	"annotations": {"autoscaling.keda.sh/paused": "true", "kubectl.kubernetes.io/last-applied-configuration": "long"}},
	"spec": {"scaleTargetRef": {"name": "orders", "kind": "Deployment"}, "pollingInterval": 5, "minReplicaCount": 2, "maxReplicaCount": 40, "idleReplicaCount": 0,
	"advanced": {"horizontalPodAutoscalerConfig": {"name": "n", "behavior": {"scaleDown": {"tolerance": 0, "stabilizationWindowSeconds": 0}}}, "restoreToOriginalReplicaCount": true},
	"triggers": [{"type": "external-push", "name": "t", "metadata": {"workload": "orders"}, "metricType": "AverageValue"}],
	"fallback": {"failureThreshold": 3, "replicas": 6, "behavior": "currentReplicasIfLower"}}, "status": {"hpaName": "n"}}`

func TestScaledObjects(t *testing.T) {
	read := readAs(*decode[map[string]any](t, fullScaledObject), scaledObjectOf)
	o := read.object
	if read.problem != "" || o.Min() != 2 || o.Max() != 40 || o.Spec.IdleReplicaCount == nil || o.HPAName() != "n" || o.Status.HPAName != "n" ||
		len(o.Spec.Triggers) != 1 || o.Spec.Triggers[0].Metadata["workload"] != "orders" || o.Spec.Fallback.Behavior != kedaapi.FallbackCurrentIfLower || !o.Spec.Advanced.RestoreToOriginalReplicaCount {
		t.Errorf("got %+v", read)
	}
	if got := followsBy(o.Behavior(), 100); got != (metrics.HPA{}) {
		t.Errorf("it follows with %+v, want at once and exactly", got)
	}
	if diff := cmp.Diff(map[string]string{"autoscaling.keda.sh/paused": "true"}, o.Annotations); diff != "" {
		t.Error(diff)
	}
	if o.ResourceVersion != "" || o.Labels != nil || o.ManagedFields != nil || string(o.UID) != "u" || o.CreationTimestamp.IsZero() {
		t.Errorf("what is kept of the metadata: %+v", o.ObjectMeta)
	}
	for text, words := range map[string]string{
		`{"spec": {"maxReplicaCount": "many"}}`:  "expected what kedaapi.ScaledObject says: ",
		`{"spec": []}`:                           "expected what kedaapi.ScaledObject says: ",
		`{"spec": {"triggers": [{"type": 1}]}}`:  "expected what kedaapi.ScaledObject says: ",
		`{"metadata": {"creationTimestamp": 1}}`: "expected what kedaapi.ScaledObject says: ",
	} {
		if got := readAs(*decode[map[string]any](t, text), scaledObjectOf); !strings.HasPrefix(got.problem, words) {
			t.Errorf("%s: problem %q, want %q", text, got.problem, words)
		}
	}
}

func FuzzScaledObject(f *testing.F) {
	for _, seed := range []string{fullScaledObject, `{}`, `{"spec": {"minReplicaCount": -1, "maxReplicaCount": 99999999999}}`, `{"spec": {"advanced": null}}`, `{"metadata": null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var object map[string]any
		if json.Unmarshal(data, &object) != nil {
			return
		}
		scaled := readAs(object, scaledObjectOf)
		if hpa := followsBy(scaled.object.Behavior(), 100); hpa.ScaleDownToleranceMilli < 0 || hpa.ScaleDownStabilization < 0 {
			t.Errorf("%+v", hpa)
		}
		if scaled.object.ManagedFields != nil || (scaled.problem != "" && scaled.object.Name != "") {
			t.Errorf("%+v", scaled)
		}
		job := readAs(object, scaledJobOf)
		counted := jobsOf(job.object, nil, nil)
		if math.IsNaN(counted.RunningShare) || math.IsInf(counted.RunningShare, 0) || job.object.Spec.JobTargetRef.Template.Spec.Containers != nil {
			t.Errorf("%+v", job)
		}
	})
}
