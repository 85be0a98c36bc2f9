package tests

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"

	"github.com/keda-headroom/headroom/cmd/headroom/lint"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/kube"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/trigger"
)

const (
	policyLabel = "keda-headroom.github.io/policy"
	databases   = "../examples/databases.yaml"
)

// examples are the files of examples, and what stands in them.
func examples(t *testing.T) map[string]objects {
	t.Helper()
	paths, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(paths) < 7 {
		t.Fatalf("%v, %v", paths, err)
	}
	out := map[string]objects{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(text, []byte("apiVersion:")); i >= 0 {
			text = text[i:] // without what is said before
		}
		out[path] = decode(t, text)
	}
	return out
}

// policies are those in the ConfigMaps of some objects.
func policies(t *testing.T, all objects) (documents []policy.Document) {
	t.Helper()
	for name, object := range all {
		c, ok := object.(*core.ConfigMap)
		if !ok {
			continue
		}
		if c.Labels[policyLabel] != "true" {
			t.Errorf("%s is no policy for want of a label", name)
		}
		for key, text := range c.Data {
			found, problems := policy.Parse(policy.Source{Where: name + " " + key, Namespace: c.Namespace, Name: c.Name}, []byte(text))
			for _, p := range problems {
				t.Error(p)
			}
			documents = append(documents, found...)
		}
	}
	return documents
}

// Each example is right by itself beside the database's policy, and all of them
// are together: nothing is left to be said, not even a warning.
func TestExamplesPassLint(t *testing.T) {
	for path := range examples(t) {
		passes(t, databases, path)
	}
	passes(t, "../examples")
}

func passes(t *testing.T, paths ...string) {
	t.Helper()
	var out strings.Builder
	options := lint.Options{Paths: paths, Output: "table", FailOn: policy.SeverityWarning, In: strings.NewReader(""), Out: &out}
	if err := lint.Run(t.Context(), options); err != nil {
		t.Errorf("%v: %v\n%s", paths, err, out.String())
	}
}

// What asks Headroom names a workload of a policy beside it, and the workload
// names what asks.
func TestTriggersAndPoliciesAgree(t *testing.T) {
	modes := map[policy.Mode]int{}
	for path, all := range examples(t) {
		if path == databases {
			continue
		}
		asks := map[metrics.ID]bool{}
		for _, object := range all {
			var namespace string
			var triggers []keda.ScaleTriggers
			switch o := object.(type) {
			case *keda.ScaledObject:
				namespace, triggers = o.Namespace, o.Spec.Triggers
			case *keda.ScaledJob:
				namespace, triggers = o.Namespace, o.Spec.Triggers
			}
			for _, tr := range triggers {
				if !strings.HasPrefix(tr.Type, "external") {
					continue
				}
				asked, err := trigger.Parse(namespace, tr.Metadata)
				if err != nil {
					t.Errorf("%s: %v", path, err)
				}
				if address := tr.Metadata[trigger.ScalerAddress]; address != "headroom.headroom.svc:6000" {
					t.Errorf("%s asks %s, which the base is not", path, address)
				}
				asks[asked.Workload] = true
			}
		}
		governed := map[metrics.ID]bool{}
		set, _ := policy.Resolve(slices.Concat(policies(t, all), policies(t, examples(t)[databases])))
		for _, w := range set.Workloads {
			modes[w.Mode]++
			if w.Mode != policy.Observe && w.ScaleTarget == nil && w.PodSelector == nil {
				governed[w.ID] = true
			} else if asks[w.ID] {
				t.Errorf("%s: %s is not KEDA's to scale and asks", path, w.ID)
			}
		}
		if diff := cmp.Diff(governed, asks); diff != "" {
			t.Errorf("%s: governed (-), asking (+):\n%s", path, diff)
		}
	}
	if modes[policy.Observe] == 0 || modes[policy.Target] < 6 || modes[policy.Gate] < 6 {
		t.Errorf("modes: %v", modes)
	}
}

// The HPA follows a target at once, and when nobody answers nothing grows.
func TestScaledObjectsFollowAtOnce(t *testing.T) {
	found := 0
	for path, all := range examples(t) {
		for _, object := range all {
			o, ok := object.(*keda.ScaledObject)
			if !ok || !strings.HasPrefix(o.Spec.Triggers[0].Type, "external") {
				continue
			}
			found++
			b := o.Spec.Advanced.HorizontalPodAutoscalerConfig.Behavior
			for _, rules := range []struct {
				what              string
				tolerance         string
				stabilization     int32
				selects, brakesAt bool
			}{
				{"scaleUp", b.ScaleUp.Tolerance.String(), *b.ScaleUp.StabilizationWindowSeconds, b.ScaleUp.SelectPolicy != nil, b.ScaleUp.Policies[0].Value < *o.Spec.MaxReplicaCount},
				{"scaleDown", b.ScaleDown.Tolerance.String(), *b.ScaleDown.StabilizationWindowSeconds, b.ScaleDown.SelectPolicy != nil, b.ScaleDown.Policies[0].Value < 100},
			} {
				if rules.tolerance != "0" || rules.stabilization != 0 || rules.selects || rules.brakesAt {
					t.Errorf("%s: %s does not follow at once: %+v", path, rules.what, rules)
				}
			}
			if f := o.Spec.Fallback; f == nil || f.Behavior != "currentReplicasIfLower" {
				t.Errorf("%s: fallback %v", path, f)
			}
		}
	}
	if found != 9 {
		t.Errorf("%d ScaledObjects ask Headroom", found)
	}
}

// The component lets Headroom read exactly the Secret that the database's policy
// names.
func TestTheDatabasesSecretCanBeRead(t *testing.T) {
	set, _ := policy.Resolve(policies(t, examples(t)[databases]))
	for _, d := range set.Databases {
		secret := d.PostgreSQL.DSN.Secret
		if secret == nil {
			t.Errorf("%s: no Secret", d.ID)
			continue
		}
		role := get[*rbac.Role](t, build(t, "examples/overlay"), "Role "+d.ID.Namespace+"/headroom-reads-"+secret.Name)
		if !slices.Equal(role.Rules[0].ResourceNames, []string{secret.Name}) {
			t.Errorf("%s: %v", d.ID, role.Rules)
		}
	}
	if len(set.Databases) == 0 {
		t.Error("no database")
	}
}

// A pod declares what it is given.
func TestPoolsAreAsDeclared(t *testing.T) {
	found := 0
	for path, all := range examples(t) {
		var containers []core.Container
		for _, template := range templates(all) {
			containers = append(containers, template.Spec.Containers...)
		}
		if len(containers) == 0 {
			continue
		}
		found++
		set, _ := policy.Resolve(slices.Concat(policies(t, all), policies(t, examples(t)[databases])))
		if len(set.Workloads) != 1 || len(containers) != 1 {
			t.Fatalf("%s: %d workloads, %d containers", path, len(set.Workloads), len(containers))
		}
		want := strconv.Itoa(set.Workloads[0].Databases[0].ConnectionsPerPod)
		if got := containers[0].Env[0]; got.Name != "DB_POOL_SIZE" || got.Value != want {
			t.Errorf("%s: %v, declared are %s", path, got, want)
		}
	}
	if found != 9 {
		t.Errorf("%d examples have pods", found)
	}
}

// templates are those of all pods that some objects make.
func templates(all objects) (out []core.PodTemplateSpec) {
	for _, object := range all {
		switch o := object.(type) {
		case *apps.Deployment:
			out = append(out, o.Spec.Template)
		case *apps.StatefulSet:
			out = append(out, o.Spec.Template)
		case *batch.CronJob:
			out = append(out, o.Spec.JobTemplate.Spec.Template)
		case *keda.ScaledJob:
			out = append(out, o.Spec.JobTargetRef.Template)
		}
	}
	return out
}

// Pods wait at the gate exactly where a policy in mode Gate lets them through, by the
// label or by their template, and never by both, of which one would be forgotten.
func TestPodsOfModeGateWait(t *testing.T) {
	byLabel, byTemplate := 0, 0
	for path, all := range examples(t) {
		set, _ := policy.Resolve(slices.Concat(policies(t, all), policies(t, examples(t)[databases])))
		for _, template := range templates(all) {
			label := template.Labels[gateLabel] == "true"
			gate := slices.ContainsFunc(template.Spec.SchedulingGates, func(g core.PodSchedulingGate) bool { return g.Name == kube.Gate })
			if waits, gated := label != gate, set.Workloads[0].Mode == policy.Gate; waits != gated || (label && gate) {
				t.Errorf("%s: mode %s, label %t, gate %t", path, set.Workloads[0].Mode, label, gate)
			}
			if label {
				byLabel++
			}
			if gate {
				byTemplate++
			}
		}
	}
	if byLabel < 5 || byTemplate != 1 {
		t.Errorf("%d by label, %d by template", byLabel, byTemplate)
	}
}

// The fleets that can be shed leave in time, and Jobs are not failed by it.
func TestWhatIsShedMayLeave(t *testing.T) {
	found := 0
	for path, all := range examples(t) {
		set, _ := policy.Resolve(slices.Concat(policies(t, all), policies(t, examples(t)[databases])))
		for _, w := range set.Workloads {
			if !w.Shedding.Enabled {
				continue
			}
			found++
			for _, template := range templates(all) {
				if grace := template.Spec.TerminationGracePeriodSeconds; grace == nil || *grace > 30 {
					t.Errorf("%s: connections come back after %v", path, grace)
				}
			}
			for _, object := range all {
				job, ok := object.(*keda.ScaledJob)
				if ok && (job.Spec.JobTargetRef.PodFailurePolicy == nil || job.Spec.JobTargetRef.PodFailurePolicy.Rules[0].OnPodConditions[0].Type != core.DisruptionTarget) {
					t.Errorf("%s: a shed counts as a failure", path)
				}
			}
		}
	}
	if found != 2 {
		t.Errorf("%d are shed", found)
	}
}
