package policy

import (
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestReadmeExamples: the README's policy is right, and its trigger names the
// policy's workload and nothing but an address besides.
func TestReadmeExamples(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := yamlBlock.FindAllSubmatch(text, -1)
	if len(blocks) != 2 {
		t.Fatalf("found %d YAML blocks, expected a policy and a trigger", len(blocks))
	}
	set := resolveText(t, Source{Where: "README.md"}, string(blocks[0][1]))
	if len(set.Workloads) != 1 || set.Workloads[0].Refusal != nil {
		t.Fatalf("expected one workload that may use its database, found %+v", set.Workloads)
	}
	var object struct {
		Triggers []struct {
			Type     string
			Metadata map[string]string
		}
	}
	if err := yaml.Unmarshal(blocks[1][1], &object); err != nil {
		t.Fatal(err)
	}
	if len(object.Triggers) != 1 {
		t.Fatalf("expected one trigger, found %d", len(object.Triggers))
	}
	trigger := object.Triggers[0]
	if !strings.HasPrefix(trigger.Type, "external") || len(trigger.Metadata) != 2 || trigger.Metadata["scalerAddress"] == "" {
		t.Errorf("expected an external trigger with scalerAddress and workload, found %+v", trigger)
	}
	if got, want := trigger.Metadata["workload"], set.Workloads[0].ID.Name; got != want {
		t.Errorf("the trigger names workload %q, the policy %q", got, want)
	}
}
