package tests

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admission "k8s.io/api/admissionregistration/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"

	"github.com/keda-headroom/headroom/metrics/kube"
)

// Names that the admission policies have, as the program has them.
const (
	ourPrefix = "keda-headroom.github.io/"
	gateLabel = ourPrefix + "gate"
)

// What mode Gate writes to pods, and who is let through by the admission policies.
var byTheGate = map[string][]need{
	"/pods":                        {{"scaler/gate", []string{"patch", "delete"}}},
	"/pods/status":                 {{"scaler/condition", []string{"patch"}}},
	"/pods/eviction":               {{"scaler/gate", []string{"create"}}},
	"keda-headroom.github.io/pods": {{"keep.yaml", []string{"release"}}},
}

// What people need for headroom release.
var toRelease = map[string][]need{
	"keda-headroom.github.io/pods": {{"keep.yaml", []string{"release"}}},
	"/pods":                        {{"cmd/headroom/release", []string{"get", "list", "patch"}}},
	"/configmaps":                  {{"cmd/headroom/release", []string{"list"}}},
	"keda.sh/scaledobjects":        {{"cmd/headroom/release", []string{"list"}}},
	"apps/replicasets":             {{"cmd/headroom/release", []string{"list"}}},
	"batch/jobs":                   {{"cmd/headroom/release", []string{"list"}}},
}

func withGate(t *testing.T, name string) objects {
	t.Helper()
	return overlay(t, "resources: [../base]\ncomponents: [../components/"+name+"]\n")
}

func TestTheGatesPermissionsAreTheLeast(t *testing.T) {
	all := withGate(t, "gate-by-template")
	compare(t, get[*rbac.ClusterRole](t, all, "ClusterRole /headroom-gate").Rules, byTheGate)
	compare(t, get[*rbac.ClusterRole](t, all, "ClusterRole /headroom-release").Rules, toRelease)
	base := build(t, "base")
	for name, object := range base {
		if role, ok := object.(*rbac.ClusterRole); ok {
			for _, r := range role.Rules {
				if slices.Contains(r.Resources, "pods") && slices.Contains(r.Verbs, "patch") {
					t.Errorf("%s writes to pods without the gate", name)
				}
			}
		}
	}
}

// The two components differ in what adds the gate, and in nothing else.
func TestGateIsGateByTemplateAndInjection(t *testing.T) {
	without, with := withGate(t, "gate-by-template"), withGate(t, "gate")
	var added []string
	for name := range with {
		if _, ok := without[name]; !ok {
			added = append(added, name)
		}
	}
	slices.Sort(added)
	if diff := cmp.Diff([]string{"MutatingAdmissionPolicy /headroom-gate-inject", "MutatingAdmissionPolicyBinding /headroom-gate-inject"}, added); diff != "" || len(with) != len(without)+2 {
		t.Error(diff)
	}
}

// Pods opt in by a label, never by where they are, and what can't be judged is
// refused.
func TestInjectionIsByLabel(t *testing.T) {
	all := withGate(t, "gate")
	p := get[*admission.MutatingAdmissionPolicy](t, all, "MutatingAdmissionPolicy /headroom-gate-inject")
	if diff := cmp.Diff(map[string]string{gateLabel: "true"}, p.Spec.MatchConstraints.ObjectSelector.MatchLabels); diff != "" {
		t.Error(diff)
	}
	b := get[*admission.MutatingAdmissionPolicyBinding](t, all, "MutatingAdmissionPolicyBinding /headroom-gate-inject")
	if p.Spec.MatchConstraints.NamespaceSelector != nil || b.Spec.MatchResources != nil || b.Spec.PolicyName != p.Name {
		t.Errorf("it is bound to something else: %v, %v", p.Spec.MatchConstraints, b.Spec)
	}
	if *p.Spec.FailurePolicy != admission.Fail || !strings.Contains(p.Spec.Mutations[0].ApplyConfiguration.Expression, "'"+kube.Gate+"'") {
		t.Errorf("%+v", p.Spec)
	}
}

// Every policy is bound and denies, and names what the program names.
func TestValidatingPoliciesDeny(t *testing.T) {
	all := withGate(t, "gate")
	for _, name := range []string{"headroom-gate-keep", "headroom-gate-confine"} {
		p := get[*admission.ValidatingAdmissionPolicy](t, all, "ValidatingAdmissionPolicy /"+name)
		b := get[*admission.ValidatingAdmissionPolicyBinding](t, all, "ValidatingAdmissionPolicyBinding /"+name)
		if *p.Spec.FailurePolicy != admission.Fail || b.Spec.PolicyName != name || !slices.Equal(b.Spec.ValidationActions, []admission.ValidationAction{admission.Deny}) || b.Spec.MatchResources != nil {
			t.Errorf("%s: %v, %v", name, p.Spec.FailurePolicy, b.Spec)
		}
		known := []string{kube.Gate, kube.GrantAnnotation, kube.EpochAnnotation, gateLabel, ourPrefix + "leader", ourPrefix + "ConnectionsReserved"}
		for _, text := range expressions(p) {
			for _, found := range regexp.MustCompile(`keda-headroom\.github\.io/[A-Za-z]+`).FindAllString(text, -1) {
				if !slices.Contains(known, found) {
					t.Errorf("%s: nothing is called %s", name, found)
				}
			}
		}
		for _, v := range p.Spec.Validations {
			if words := v.Message + v.MessageExpression; !strings.Contains(words, "expected ") {
				t.Errorf("%s says %q, not what it expected", name, words)
			}
		}
	}
}

func expressions(p *admission.ValidatingAdmissionPolicy) (all []string) {
	for _, c := range p.Spec.MatchConditions {
		all = append(all, c.Expression)
	}
	for _, v := range p.Spec.Variables {
		all = append(all, v.Expression)
	}
	for _, v := range p.Spec.Validations {
		all = append(all, v.Expression, v.Message, v.MessageExpression)
	}
	return all
}

// Whoever Headroom runs as is confined, in another namespace too; for another name
// one patch is enough.
func TestTheAccountIsConfined(t *testing.T) {
	confined := func(all objects) *regexp.Regexp {
		t.Helper()
		p := get[*admission.ValidatingAdmissionPolicy](t, all, "ValidatingAdmissionPolicy /headroom-gate-confine")
		if len(p.Spec.MatchConditions) != 1 {
			t.Fatalf("%d conditions, the name stands in one", len(p.Spec.MatchConditions))
		}
		return regexp.MustCompile(regexp.MustCompile(`matches\('(.*)'\)`).FindStringSubmatch(p.Spec.MatchConditions[0].Expression)[1])
	}
	renamed := `resources: [../base]
components: [../components/gate]
patches:
- target: {kind: ValidatingAdmissionPolicy, name: headroom-gate-confine}
  patch: '[{"op": "replace", "path": "/spec/matchConditions/0/expression", "value": "request.userInfo.username.matches(''^system:serviceaccount:[^:]+:governor$'')"}]'
- target: {kind: ServiceAccount, name: headroom}
  patch: '[{"op": "replace", "path": "/metadata/name", "value": "governor"}]'
`
	for _, kustomization := range []string{
		"resources: [../base]\ncomponents: [../components/gate]\n",
		"namespace: scaling\nresources: [../base]\ncomponents: [../components/gate]\n",
		renamed,
	} {
		all := overlay(t, kustomization)
		accounts := 0
		for _, object := range all {
			account, ok := object.(*core.ServiceAccount)
			if !ok {
				continue
			}
			accounts++
			if who := "system:serviceaccount:" + account.Namespace + ":" + account.Name; !confined(all).MatchString(who) {
				t.Errorf("%s is not confined", who)
			}
			binding := get[*rbac.ClusterRoleBinding](t, all, "ClusterRoleBinding /headroom-gate")
			if s := binding.Subjects[0]; s.Namespace != account.Namespace || s.Name != account.Name {
				t.Errorf("the gate is %v's, Headroom runs as %s/%s", s, account.Namespace, account.Name)
			}
		}
		if accounts != 1 {
			t.Errorf("%d accounts", accounts)
		}
	}
	base := confined(withGate(t, "gate"))
	for _, other := range []string{"system:serviceaccount:shop:headroom-2", "system:serviceaccount:shop:my-headroom", "headroom", "system:serviceaccount:kube-system:replicaset-controller"} {
		if base.MatchString(other) {
			t.Errorf("%s is confined", other)
		}
	}
}
