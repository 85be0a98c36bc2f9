package tests

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	admission "k8s.io/api/admissionregistration/v1"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	disruption "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// manifests is where the manifests are, from here.
const manifests = ".."

// kinds are what may stand in a manifest.
var kinds = map[string]reflect.Type{
	"v1 Namespace":                                                     reflect.TypeFor[core.Namespace](),
	"v1 ServiceAccount":                                                reflect.TypeFor[core.ServiceAccount](),
	"v1 ConfigMap":                                                     reflect.TypeFor[core.ConfigMap](),
	"v1 Service":                                                       reflect.TypeFor[core.Service](),
	"apps/v1 Deployment":                                               reflect.TypeFor[apps.Deployment](),
	"apps/v1 StatefulSet":                                              reflect.TypeFor[apps.StatefulSet](),
	"batch/v1 CronJob":                                                 reflect.TypeFor[batch.CronJob](),
	"policy/v1 PodDisruptionBudget":                                    reflect.TypeFor[disruption.PodDisruptionBudget](),
	"networking.k8s.io/v1 NetworkPolicy":                               reflect.TypeFor[networking.NetworkPolicy](),
	"rbac.authorization.k8s.io/v1 ClusterRole":                         reflect.TypeFor[rbac.ClusterRole](),
	"rbac.authorization.k8s.io/v1 ClusterRoleBinding":                  reflect.TypeFor[rbac.ClusterRoleBinding](),
	"rbac.authorization.k8s.io/v1 Role":                                reflect.TypeFor[rbac.Role](),
	"rbac.authorization.k8s.io/v1 RoleBinding":                         reflect.TypeFor[rbac.RoleBinding](),
	"monitoring.coreos.com/v1 ServiceMonitor":                          reflect.TypeFor[monitoring.ServiceMonitor](),
	"monitoring.coreos.com/v1 PrometheusRule":                          reflect.TypeFor[monitoring.PrometheusRule](),
	"admissionregistration.k8s.io/v1 MutatingAdmissionPolicy":          reflect.TypeFor[admission.MutatingAdmissionPolicy](),
	"admissionregistration.k8s.io/v1 MutatingAdmissionPolicyBinding":   reflect.TypeFor[admission.MutatingAdmissionPolicyBinding](),
	"admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy":        reflect.TypeFor[admission.ValidatingAdmissionPolicy](),
	"admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding": reflect.TypeFor[admission.ValidatingAdmissionPolicyBinding](),
	"keda.sh/v1alpha1 ScaledObject":                                    reflect.TypeFor[keda.ScaledObject](),
	"keda.sh/v1alpha1 ScaledJob":                                       reflect.TypeFor[keda.ScaledJob](),
	"keda.sh/v1alpha1 TriggerAuthentication":                           reflect.TypeFor[keda.TriggerAuthentication](),
}

// objects are the objects of a document, by "Kind namespace/name".
type objects map[string]runtime.Object

// decode reads the documents of text, and fails for a field that is not known.
func decode(t *testing.T, text []byte) objects {
	t.Helper()
	out := objects{}
	for document := range strings.SplitSeq("\n"+string(text), "\n---\n") {
		var about struct {
			APIVersion, Kind string
			Metadata         struct{ Name, Namespace string }
		}
		if err := yaml.Unmarshal([]byte(document), &about); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		kind, ok := kinds[about.APIVersion+" "+about.Kind]
		if !ok {
			t.Fatalf("%s %s is none of the kinds that a cluster is known to have", about.APIVersion, about.Kind)
		}
		object := reflect.New(kind).Interface().(runtime.Object)
		name := about.Kind + " " + about.Metadata.Namespace + "/" + about.Metadata.Name
		if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, ok := out[name]; ok {
			t.Errorf("%s is there twice", name)
		}
		out[name] = object
	}
	return out
}

// get returns the object of a name.
func get[T runtime.Object](t *testing.T, all objects, name string) T {
	t.Helper()
	object, ok := all[name].(T)
	if !ok {
		t.Fatalf("no %s", name)
	}
	return object
}

// build returns what kustomize makes of a directory of manifests.
func build(t *testing.T, directory string) objects {
	t.Helper()
	return kustomize(t, filesys.MakeFsOnDisk(), filepath.Join(manifests, directory))
}

func kustomize(t *testing.T, fs filesys.FileSystem, directory string) objects {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(fs, directory)
	if err != nil {
		t.Fatal(err)
	}
	text, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, text)
}

// overlay builds a kustomization that stands beside base and components, in a
// directory of a copy.
func overlay(t *testing.T, kustomization string) objects {
	t.Helper()
	fs := filesys.MakeFsInMemory()
	err := filepath.WalkDir(manifests, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains([]string{".yaml", ".json"}, filepath.Ext(path)) {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(manifests, path)
		if err != nil {
			return err
		}
		return fs.WriteFile(filepath.Join("/manifests", below), content)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := fs.WriteFile("/manifests/overlay/kustomization.yaml", []byte(kustomization)); err != nil {
		t.Fatal(err)
	}
	return kustomize(t, fs, "/manifests/overlay")
}

// components are the directories of manifests/components.
func components(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(manifests, "components"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if len(names) < 7 {
		t.Fatalf("only %d components", len(names))
	}
	return names
}

func TestEveryComponentFitsTheBase(t *testing.T) {
	base := build(t, "base")
	for _, name := range components(t) {
		t.Run(name, func(t *testing.T) {
			with := overlay(t, "resources: [../base]\ncomponents: [../components/"+name+"]\n")
			for object := range base {
				if _, ok := with[object]; !ok {
					t.Errorf("%s is no longer there", object)
				}
			}
			if reflect.DeepEqual(base, with) {
				t.Error("it changes nothing")
			}
		})
	}
	build(t, "examples/overlay")
}

// Another namespace, for two installations or a rule of the house, is one line.
func TestAnotherNamespace(t *testing.T) {
	all := overlay(t, "namespace: scaling\nresources: [../base]\n")
	for name := range all {
		if strings.Contains(name, " headroom/") || name == "Namespace /headroom" {
			t.Errorf("%s stays in namespace headroom", name)
		}
	}
	for name, subjects := range map[string][]rbac.Subject{
		"ClusterRoleBinding": get[*rbac.ClusterRoleBinding](t, all, "ClusterRoleBinding /headroom").Subjects,
		"RoleBinding":        get[*rbac.RoleBinding](t, all, "RoleBinding scaling/headroom").Subjects,
	} {
		if len(subjects) != 1 || subjects[0].Namespace != "scaling" {
			t.Errorf("%s binds %v", name, subjects)
		}
	}
}
