package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/e2e/node"
)

const stubbornSpec = `{"terminationGracePeriodSeconds": 2, "containers": [{"name": "main", "image": "stubborn:1"}]}`

func (s *site) delete(name string, options metav1.DeleteOptions) {
	s.t.Helper()
	if err := s.Client().CoreV1().Pods(s.namespace).Delete(s.t.Context(), name, options); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) awaitGone(name string) {
	s.t.Helper()
	s.wait(name+" to be gone", func(ctx context.Context) (bool, error) {
		_, err := s.Client().CoreV1().Pods(s.namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
}

func TestGraceEndsByForce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.pod("one", nil, stubbornSpec)
	p := s.await("one", "ready", isReady)
	if p.Status.PodIP == "" || p.Status.HostIP != "127.0.0.1" || p.Status.Phase != corev1.PodRunning || s.node.Processes() != 1 {
		t.Errorf("%d processes, %+v", s.node.Processes(), p.Status)
	}
	asked := time.Now()
	s.delete("one", metav1.DeleteOptions{})
	s.awaitGone("one")
	if took := time.Since(asked); took < 2*time.Second {
		t.Errorf("it was gone after %v, before its grace period", took)
	}
	s.wait("no process", func(context.Context) (bool, error) { return s.node.Processes() == 0, nil })

	// A pod that is deleted by force is gone from the API at once; its process
	// has its grace period.
	s.pod("two", nil, stubbornSpec)
	s.await("two", "ready", isReady)
	now := int64(0)
	s.delete("two", metav1.DeleteOptions{GracePeriodSeconds: &now})
	s.awaitGone("two")
	s.wait("no process", func(context.Context) (bool, error) { return s.node.Processes() == 0, nil })

	// A grace period that becomes shorter counts.
	long := strings.Replace(stubbornSpec, ": 2,", ": 1000,", 1)
	s.pod("three", nil, long)
	s.await("three", "ready", isReady)
	s.delete("three", metav1.DeleteOptions{})
	one := int64(1)
	s.delete("three", metav1.DeleteOptions{GracePeriodSeconds: &one})
	s.awaitGone("three")
}

func TestCrashLoop(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.pod("crashing", map[string]string{node.ExitAfter: "50ms"}, stubbornSpec)
	p := s.await("crashing", "in a crash loop", func(p *corev1.Pod) bool {
		return waitsFor("CrashLoopBackOff")(p) && container(p).RestartCount >= 3
	})
	if last := container(p).LastTerminationState.Terminated; last == nil || last.ExitCode != 137 || last.Reason != "Error" {
		t.Errorf("its last end: %+v, want exit code 137", last)
	}
	if p.Status.Phase != corev1.PodRunning || isReady(p) {
		t.Errorf("phase %s, ready %t: want Running, and not ready", p.Status.Phase, isReady(p))
	}
	s.delete("crashing", metav1.DeleteOptions{})
	s.awaitGone("crashing")

	// One that is never restarted has failed, and stays.
	never := strings.Replace(stubbornSpec, "{", `{"restartPolicy": "Never", `, 1)
	s.pod("failed", map[string]string{node.ExitAfter: "50ms"}, never)
	p = s.await("failed", "failed", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
	if end := container(p).State.Terminated; end == nil || end.ExitCode != 137 || container(p).RestartCount != 0 {
		t.Errorf("it ended as %+v", container(p))
	}
	s.delete("failed", metav1.DeleteOptions{})
	s.awaitGone("failed")
}

func TestImagesThatCannotBePulled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.pod("unknown", nil, `{"containers": [{"name": "main", "image": "nobody/knows:1"}]}`)
	s.await("unknown", "unable to pull", waitsFor("ImagePullBackOff"))
	s.delete("unknown", metav1.DeleteOptions{})
	s.awaitGone("unknown")

	s.pod("unlucky", map[string]string{node.ImagePullFailure: "true"}, stubbornSpec)
	s.await("unlucky", "unable to pull", waitsFor("ErrImagePull"))
	s.await("unlucky", "waiting to pull", waitsFor("ImagePullBackOff"))
	body := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:null}}}`, node.ImagePullFailure)
	if _, err := s.Client().CoreV1().Pods(s.namespace).Patch(t.Context(), "unlucky", "application/merge-patch+json", body, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	s.await("unlucky", "ready", isReady)
}

// The scheduler leaves a gated pod alone; an open one waits as it is told.
func TestDelays(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	gated := strings.Replace(stubbornSpec, "{", `{"schedulingGates": [{"name": "example.org/wait"}], `, 1)
	s.pod("slow", map[string]string{node.StartDelay: "3s", node.ReadyAfter: "2s"}, gated)
	p := s.await("slow", "gated", func(p *corev1.Pod) bool {
		return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Reason == "SchedulingGated" })
	})
	if p.Spec.NodeName != "" || p.Status.PodIP != "" {
		t.Errorf("it is bound to %q: %+v", p.Spec.NodeName, p.Status)
	}
	if _, err := s.Client().CoreV1().Pods(s.namespace).Patch(t.Context(), "slow", "application/json-patch+json", []byte(`[{"op":"remove","path":"/spec/schedulingGates/0"}]`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	s.await("slow", "starting", waitsFor("ContainerCreating"))
	p = s.await("slow", "ready", isReady)
	scheduled, ready := p.Status.StartTime.Time, time.Time{}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			ready = c.LastTransitionTime.Time
		}
	}
	started := container(p).State.Running.StartedAt.Time
	// The API has whole seconds only.
	if started.Sub(scheduled) < 2*time.Second || ready.Sub(started) < time.Second {
		t.Errorf("bound %v, started %v, ready %v: want 3 s and 2 s between", scheduled, started, ready)
	}
}

// A container gets what its pod's specification says: fields, secrets, files,
// an account; and is probed where it listens.
func TestWhatAContainerGets(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.apply(strings.ReplaceAll(`
apiVersion: v1
kind: Secret
metadata: {name: db, namespace: NS}
stringData: {url: "postgres://somebody"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: NS}
data: {COLOR: blue, file.yaml: "a: 1"}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: NS}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: NS}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: NS}]
`, "NS", s.namespace))
	s.pod("web", map[string]string{"note": "n"}, `{
		"serviceAccountName": "reader",
		"volumes": [{"name": "config", "configMap": {"name": "settings"}}, {"name": "scratch", "emptyDir": {}}],
		"containers": [{
			"name": "main", "image": "example.org/web:2", "command": ["/web", "go"], "args": ["--color=$(COLOR)", "--config=/etc/web/file.yaml"],
			"ports": [{"name": "http", "containerPort": 8080}],
			"readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1},
			"volumeMounts": [{"name": "config", "mountPath": "/etc/web"}, {"name": "scratch", "mountPath": "/scratch"}],
			"envFrom": [{"configMapRef": {"name": "settings"}}],
			"resources": {"limits": {"memory": "64Mi"}},
			"env": [
				{"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}},
				{"name": "OPTIONAL", "valueFrom": {"secretKeyRef": {"name": "db", "key": "none", "optional": true}}},
				{"name": "NOTE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['note']"}}},
				{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
				{"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
				{"name": "READY_FILE", "value": "/scratch/ready"}
			]
		}]}`)
	s.wait("its first line", func(context.Context) (bool, error) { return len(s.said("web")) > 0, nil })
	var got struct{ Args, Env []string }
	if err := json.Unmarshal([]byte(s.said("web")[0]), &got); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for _, e := range got.Env {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	p := s.await("web", "running", func(p *corev1.Pod) bool { return container(p).State.Running != nil })
	want := map[string]string{
		"COLOR": "blue", "DATABASE_URL": "postgres://somebody", "NOTE": "n", "POD_IP": p.Status.PodIP, "MEMORY": "64", "HOSTNAME": "web",
	}
	for name, value := range want {
		if env[name] != value {
			t.Errorf("%s=%q, want %q", name, env[name], value)
		}
	}
	if _, ok := env["OPTIONAL"]; ok {
		t.Error("it has a variable of a key that is not there")
	}
	if len(got.Args) != 4 || got.Args[0] != "go" || got.Args[1] != "--color=blue" || got.Args[3] != "--listen="+p.Status.PodIP+":8080" {
		t.Fatalf("its args: %q", got.Args)
	}
	if file, err := exec.Command("cat", strings.TrimPrefix(got.Args[2], "--config=")).Output(); err != nil || string(file) != "a: 1" {
		t.Errorf("its file %s: %q, %v", got.Args[2], file, err)
	}
	if isReady(p) {
		t.Error("it is ready before its probe says so")
	}
	if err := exec.Command("touch", env["READY_FILE"]).Run(); err != nil {
		t.Fatal(err)
	}
	s.await("web", "ready", isReady)
	if err := exec.Command("rm", env["READY_FILE"]).Run(); err != nil {
		t.Fatal(err)
	}
	s.await("web", "not ready", func(p *corev1.Pod) bool { return !isReady(p) })
	s.mayOnlyReadConfigMaps(env["KUBECONFIG"])

	// What is missing is waited for.
	s.pod("early", nil, `{"containers": [{"name": "main", "image": "stubborn", "env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "x"}}}]}]}`)
	s.await("early", "waiting for its configuration", waitsFor("CreateContainerConfigError"))
	s.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: late, namespace: " + s.namespace + "}, data: {x: value}}")
	s.await("early", "ready", isReady)
}
