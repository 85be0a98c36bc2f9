package policyfiles_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keda-headroom/headroom/internal/policyfiles"
)

const (
	database = `apiVersion: keda-headroom.github.io/v1alpha1
kind: Policy
metadata: {namespace: platform}
databases:
- {name: orders-db, postgresql: {dsn: {env: DSN}}, reserve: 10, allowedNamespaces: [shop]}
`
	workload = `apiVersion: keda-headroom.github.io/v1alpha1
kind: Policy
metadata: {namespace: shop}
workloads:
- name: workers
  mode: Target
  databaseRefs: [{namespace: platform, name: orders-db, user: worker, connectionsPerPod: 2}]
  sqs: {queueName: orders, messagesPerPod: 20}
`
	deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: workers}
`
)

// configMap has a policy as ConfigMaps have them.
func configMap(label string, text string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: policies, namespace: shop, labels: {keda-headroom.github.io/policy: \"" + label + "\"}}\ndata:\n  policy.yaml: |\n" +
		"    " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n    ") + "\n"
}

func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoad(t *testing.T) {
	for name, content := range map[string]map[string]string{
		"one file":                   {"all.yaml": database + "---\n" + workload},
		"a directory":                {"a/databases.yaml": database, "b/workloads.yml": workload, "README.md": "apiVersion: [", ".git/old.yaml": workload},
		"a ConfigMap":                {"databases.yaml": database, "manifests.yaml": configMap("true", workload)},
		"among manifests":            {"databases.yaml": database + "---\n" + deployment, "manifests.yaml": deployment + "---\n" + workload},
		"in a list":                  {"all.yaml": database + "---\napiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(strings.TrimSpace(workload), "\n", "\n  ") + "\n"},
		"beside what is no manifest": {"all.yaml": database + "---\n" + workload, "values.yaml": "image: worker\n"},
		"a ConfigMap that is no one": {"all.yaml": database + "---\n" + workload, "manifests.yaml": configMap("false", workload)},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := policyfiles.Load([]string{files(t, content)})
			if err != nil {
				t.Fatal(err)
			}
			if len(set.Workloads) != 1 || set.Workloads[0].Refusal != nil || len(set.Databases) != 1 {
				t.Errorf("%+v", set)
			}
		})
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	wrong := strings.Replace(workload, "messagesPerPod: 20", "messagesPerPod: 0", 1)
	for name, test := range map[string]struct {
		content map[string]string
		want    []string
	}{
		"where it stands":       {map[string]string{"all.yaml": database + "---\n" + wrong}, []string{"all.yaml:14:", "messagesPerPod: expected"}},
		"in a ConfigMap's text": {map[string]string{"all.yaml": configMap("true", wrong)}, []string{"all.yaml:13:32:", "messagesPerPod: expected"}},
		"beside manifests":      {map[string]string{"all.yaml": deployment + "---\n" + wrong}, []string{"all.yaml:12:28: workloads[0].sqs.messagesPerPod: expected"}},
		"no YAML":               {map[string]string{"all.yaml": "apiVersion: ["}, []string{"all.yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := policyfiles.Load([]string{files(t, test.content)})
			for _, part := range test.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("%v, want %q in it", err, part)
				}
			}
		})
	}
	if set, err := policyfiles.Load([]string{files(t, map[string]string{"all.yaml": deployment})}); err != nil || len(set.Workloads) > 0 {
		t.Errorf("no policies: %+v %v", set, err)
	}
	values := filepath.Join(files(t, map[string]string{"values.yaml": database + "---\nimage: worker\n"}), "values.yaml")
	if _, err := policyfiles.Load([]string{values}); err == nil || !strings.Contains(err.Error(), "values.yaml:7: expected policies") {
		t.Errorf("a file that is no manifest: %v", err)
	}
	if _, err := policyfiles.Load([]string{filepath.Join(t.TempDir(), "nowhere.yaml")}); err == nil || !strings.Contains(err.Error(), "nowhere.yaml") {
		t.Errorf("a path that leads nowhere: %v", err)
	}
}
