package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestNoSecretIsShown puts a data source name, in every form, in the place of
// every value and every key of a document.
func TestNoSecretIsShown(t *testing.T) {
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(readDocument(t, "working_everything.yaml")), &root); err != nil {
		t.Fatal(err)
	}
	anywhere := []string{
		"postgres://headroom:hunter2@db:5432/orders",
		"postgresql://db/orders?user=headroom&password=hunter2",
		"host=db user=headroom password=hunter2",
		"host=db user=headroom password = 'hunter2'",
		"https://AKIAIOSFODNN7EXAMPLE:hunter2@sqs.eu-west-1.amazonaws.com/1/orders",
		"/postgres://headroom:hunter2@db:5432/orders",
	}
	tried := 0
	try := func(path string, n *yaml.Node, with yaml.Node) {
		before := *n
		*n = with
		defer func() { *n = before }()
		data, err := yaml.Marshal(&root)
		if err != nil {
			t.Fatal(err)
		}
		tried++
		documents, problems := Parse(Source{Where: "policy.yaml"}, data)
		if len(documents) != 0 || !HasErrors(problems) {
			t.Errorf("%s: accepted with %q", path, with.Value)
		}
		for _, p := range problems {
			if text := fmt.Sprintf("%s %+v", p, p); strings.Contains(text, "hunter2") {
				t.Errorf("%s: shows %q: %s", path, with.Value, text)
			}
		}
	}
	text := func(value string) yaml.Node { return yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value} }
	var walk func(n *yaml.Node, path string)
	walk = func(n *yaml.Node, path string) {
		values := anywhere
		if strings.Contains(path, ".dsn") {
			values = append(slices.Clone(values), "hunter2 ") // bare, where a login is expected
		}
		for _, value := range values {
			try(path, n, text(value))
			try(path, n, yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: value}}})
			try(path, n, yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: value}, {Kind: yaml.ScalarNode, Value: value}}})
		}
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				walk(n.Content[i+1], docJoin(path, n.Content[i].Value))
			}
		case yaml.SequenceNode:
			for i, item := range n.Content {
				walk(item, fmt.Sprintf("%s[%d]", path, i))
			}
		}
	}
	walk(root.Content[0], "")
	if tried < 500 {
		t.Errorf("only %d tried", tried)
	}
}

func TestFoundIsShort(t *testing.T) {
	long := yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.Repeat("ö", 1000)}
	if found := docFound(&long, false); len(found) > docShownBytes+10 || !strings.HasSuffix(found, `…"`) {
		t.Errorf("shows %s", found)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"minReplicas", "maxReplicas", "queueURL", "queueName", "sqs", "mode"}
	for key, want := range map[string]string{
		"minReplica": "minReplicas", "MaxReplicas": "maxReplicas", "queueUrl": "queueURL", "queue_name": "queueName",
		"mdoe": "mode", "SQS": "sqs", "kafka": "", "x": "", "": "", strings.Repeat("mode", 100): "",
	} {
		if got := docNearest(key, known); got != want {
			t.Errorf("%q: expected %q, found %q", key, want, got)
		}
	}
}
