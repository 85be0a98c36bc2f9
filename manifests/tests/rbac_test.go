package tests

import (
	"slices"
	"strings"
	"testing"

	rbac "k8s.io/api/rbac/v1"
)

// What each part of the program asks the API server for, in the whole cluster and
// in Headroom's own namespace; the parts' package comments say the same. A
// permission that nobody needs is one to be taken away.
var (
	inTheCluster = map[string][]need{
		"keda.sh/scaledobjects":                {watches("metrics/kube")},
		"keda.sh/scaledjobs":                   {watches("metrics/kube")},
		"autoscaling/horizontalpodautoscalers": {watches("metrics/kube")},
		"apps/deployments":                     {watches("metrics/kube")},
		"apps/replicasets":                     {watches("metrics/kube")},
		"apps/statefulsets":                    {watches("metrics/kube")},
		"apps/controllerrevisions":             {watches("metrics/kube")},
		"batch/jobs":                           {watches("metrics/kube")},
		"/pods":                                {watches("metrics/kube"), {"scaler/leader", []string{"list"}}},
		"/configmaps":                          {watches("scaler/policyconfigmap"), {"scaler/memory", []string{"list"}}},
		"/namespaces kube-system":              {{"scaler/memory", []string{"get"}}},
		"events.k8s.io/events":                 {{"scaler/events", []string{"create", "patch"}}},
	}
	inItsNamespace = map[string][]need{
		"/configmaps":                         {{"scaler/memory", []string{"list", "create", "update", "delete"}}},
		"coordination.k8s.io/leases":          {{"scaler/leader", []string{"create"}}},
		"coordination.k8s.io/leases headroom": {{"scaler/leader", []string{"get", "update"}}},
		"/pods":                               {{"scaler/leader", []string{"get", "patch"}}},
	}
)

// need is the verbs that a package uses.
type need struct {
	who   string
	verbs []string
}

func watches(who string) need { return need{who, []string{"list", "watch"}} }

// Every permission is needed by somebody, and every need is permitted.
func TestPermissionsAreTheLeast(t *testing.T) {
	base := build(t, "base")
	compare(t, get[*rbac.ClusterRole](t, base, "ClusterRole /headroom").Rules, inTheCluster)
	compare(t, get[*rbac.Role](t, base, "Role headroom/headroom").Rules, inItsNamespace)
}

func compare(t *testing.T, rules []rbac.PolicyRule, needed map[string][]need) {
	t.Helper()
	permitted := map[string][]string{}
	for _, r := range rules {
		if len(r.NonResourceURLs) > 0 {
			t.Errorf("%v is not about resources", r)
		}
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				name := strings.TrimSpace(group + "/" + resource + " " + strings.Join(r.ResourceNames, " "))
				permitted[name] = append(permitted[name], r.Verbs...)
			}
		}
	}
	for resource, verbs := range permitted {
		var wanted []string
		for _, n := range needed[resource] {
			wanted = append(wanted, n.verbs...)
		}
		for _, verb := range verbs {
			if !slices.Contains(wanted, verb) {
				t.Errorf("nobody needs to %s %s", verb, resource)
			}
		}
	}
	for resource, needs := range needed {
		for _, n := range needs {
			for _, verb := range n.verbs {
				if !slices.Contains(permitted[resource], verb) {
					t.Errorf("%s may not %s %s", n.who, verb, resource)
				}
			}
		}
	}
}

// No Secret can be read, unless its owner says so, and then that one alone.
func TestSecretsAreReadByName(t *testing.T) {
	for name, object := range build(t, "examples/overlay") {
		var rules []rbac.PolicyRule
		switch role := object.(type) {
		case *rbac.ClusterRole:
			rules = role.Rules
		case *rbac.Role:
			rules = role.Rules
		}
		for _, r := range rules {
			if slices.Contains(r.Resources, "*") || slices.Contains(r.Verbs, "*") || slices.Contains(r.APIGroups, "*") {
				t.Errorf("%s permits anything: %v", name, r)
			}
			if !slices.Contains(r.Resources, "secrets") {
				continue
			}
			if len(r.ResourceNames) != 1 || !slices.Equal(r.Verbs, []string{"get", "list", "watch"}) {
				t.Errorf("%s: %v", name, r)
			}
		}
	}
}
