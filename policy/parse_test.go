package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
)

func readDocument(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "documents", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestEveryFieldArrives reads a document in which no field has its default, and
// expects each value in its place.
func TestEveryFieldArrives(t *testing.T) {
	most := 50
	shop := func(name string) metrics.ID { return metrics.ID{Namespace: "shop", Name: name} }
	want := Set{
		Databases: []Database{{
			ID:                shop("orders-db"),
			PostgreSQL:        &PostgreSQL{DSN: DSN{File: "/etc/headroom/orders-db/dsn"}},
			Reserve:           intorpercent.Count(12),
			OthersWindow:      90 * time.Minute,
			PollInterval:      500 * time.Millisecond,
			MaxReadingAge:     3500 * time.Millisecond,
			AllowedNamespaces: []string{"audit", "billing"},
			MaxPriority:       1000,
		}, {
			ID:            shop("stock-db"),
			PostgreSQL:    &PostgreSQL{DSN: DSN{Env: "STOCK_DB_DSN"}},
			Reserve:       intorpercent.Percent(25),
			OthersWindow:  30 * time.Minute,
			PollInterval:  2 * time.Second,
			MaxReadingAge: 10 * time.Second,
			MaxPriority:   200,
		}},
		Workloads: []Workload{{
			ID:           shop("order-workers"),
			Mode:         Gate,
			ScaledObject: "order-workers-scaler",
			Databases: []Use{
				{Database: shop("orders-db"), User: "worker", DatabaseName: "orders", ApplicationName: "order-worker", ConnectionsPerPod: 5},
				{Database: shop("stock-db"), User: "worker", DatabaseName: "stock", ApplicationName: "order-worker ", ConnectionsPerPod: 1},
			},
			SQS: &SQS{
				QueueURL: "https://sqs.eu-west-1.amazonaws.com/123456789012/orders.fifo",
				Region:   "eu-west-1", Endpoint: "http://127.0.0.1:9324",
				MessagesPerPod: 20, IncludeDelayed: true,
				MaxMessageAge: 2 * time.Minute, SecondsPerMessage: 1.5, Concurrency: 4, IdlePollInterval: 20 * time.Second,
				PollInterval: 10 * time.Second, StaleAfter: 2 * time.Minute, ErrorAfter: 10 * time.Minute,
			},
			MinReplicas: 1, MaxReplicas: &most, Priority: 200,
			Shedding:     Shedding{Enabled: true, MinReplicas: 2, IgnoreDisruptionBudgets: true},
			ReadyTimeout: 5 * time.Minute,
		}},
	}
	compareSets(t, want, resolveText(t, Source{}, readDocument(t, "working_everything.yaml")))
}

func TestSourceAndMetadata(t *testing.T) {
	document := func(metadata string) []byte {
		return []byte("apiVersion: " + APIVersion + "\nkind: Policy\nmetadata: " + metadata + "\ndatabases: []\n")
	}
	for _, test := range []struct {
		source   Source
		metadata string
		want     string // namespace/name, or the problems
	}{
		{Source{}, "{}", "default/"},
		{Source{}, "{name: a, namespace: n}", "n/a"},
		{Source{Namespace: "m", Name: "b"}, "{}", "m/b"},
		{Source{Namespace: "m", Name: "b"}, "{name: b, namespace: m}", "m/b"},
		{Source{Namespace: "m"}, "{name: a}", "m/a"},
		{
			Source{Namespace: "m", Name: "b", Where: "configmap m/b"}, "{name: a, namespace: n}",
			`configmap m/b:3:12: metadata.name: expected "b", as of the object that carries the document, found "a"` + "\n" +
				`configmap m/b:3:21: metadata.namespace: expected "m", as of the object that carries the document, found "n"`,
		},
	} {
		documents, problems := Parse(test.source, document(test.metadata))
		var got []string
		for _, d := range documents {
			got = append(got, d.Source.Namespace+"/"+d.Source.Name)
		}
		for _, p := range problems {
			got = append(got, p.String())
		}
		if found := strings.Join(got, "\n"); found != test.want {
			t.Errorf("%+v with %s:\nwanted %s\n found %s", test.source, test.metadata, test.want, found)
		}
	}
}

// TestGoodDocumentBesideABadOne: one bad document takes nothing from another one
// in the same input, and gives nothing itself.
func TestGoodDocumentBesideABadOne(t *testing.T) {
	good := readDocument(t, "working_minimal.yaml")
	bad := strings.Replace(readDocument(t, "working_everything.yaml"), "priority: 200", "priority: high", 1)
	documents, problems := Parse(Source{}, []byte(bad+"---\n"+good))
	if len(documents) != 1 || len(problems) != 1 || problems[0].Field != "workloads[0].priority" {
		t.Fatalf("%d documents, problems %v", len(documents), problems)
	}
	set, _ := Resolve(documents)
	compareSets(t, resolveText(t, Source{}, good), set)
}

func TestInputIsBounded(t *testing.T) {
	const header = "apiVersion: " + APIVersion + "\nkind: Policy\n"
	const workload = "{name: w, databaseRefs: &refs [%s], sqs: {queueName: q, messagesPerPod: 1}}"
	ref := "&ref {name: d, user: u, connectionsPerPod: 1}"
	refs := fmt.Sprintf(workload, ref+strings.Repeat(", *ref", 99))

	laughs := header + "laughs:\n- &l0 [ha, ha]\n"
	for i := range 60 {
		laughs += fmt.Sprintf("- &l%d [*l%d, *l%d, *l%d]\n", i+1, i, i, i)
	}
	for _, test := range []struct {
		name, text string
		want       string // in the rule of some problem
	}{
		{"one byte too many", header + "databases: []\n#" + strings.Repeat("x", MaxInput), "at most 1048576 bytes"},
		{"a list that is too long", header + "databases: [" + strings.Repeat("{}, ", 1001) + "]", "0 to 1000 items"},
		{"aliases of aliases where documents have lists", header + "workloads: [&w " + refs + strings.Repeat(", *w", 999) + "]", "at most 200000 values"},
		{"a billion laughs where nothing is read", laughs, "unknown field"},
		{"an alias of what it stands in", header + "workloads: &w [*w, *w]\n", "expected an object"},
		{"an object that holds itself", header + "workloads: [&w {name: *w, databaseRefs: [*w], sqs: *w}]\n", "expected a Kubernetes name"},
		{"brackets without an end", header + "databases: " + strings.Repeat("[", 500_000), "not YAML"},
		{"brackets", header + "databases: " + strings.Repeat("[", 5_000) + strings.Repeat("]", 5_000), "expected an object"},
		{"more mistakes than anybody reads", strings.Repeat("a: b\n---\n", 10_000), "19000 more problems"},
		{"no text at all", "\x00\x01\x02", "not YAML"},
		{"no UTF-8", header + "databases: \"\xff\xfe\"", "not YAML"},
	} {
		t.Run(test.name, func(t *testing.T) {
			documents, problems := Parse(Source{Where: "input"}, []byte(test.text))
			if len(documents) != 0 || !HasErrors(problems) {
				t.Error("something of it is in force")
			}
			if len(problems) > docMostProblems+1 {
				t.Errorf("%d problems", len(problems))
			}
			if !slices.ContainsFunc(problems, func(p Problem) bool { return strings.Contains(p.Rule, test.want) }) {
				t.Errorf("expected %q, found %d problems, first %v", test.want, len(problems), problems[0])
			}
			for _, p := range problems {
				if len(p.String()) > 1000 {
					t.Errorf("a message of %d bytes", len(p.String()))
				}
			}
		})
	}
}

// TestLongestDocument is as large as documents are allowed to be, and within
// every bound.
func TestLongestDocument(t *testing.T) {
	var text strings.Builder
	text.WriteString("apiVersion: " + APIVersion + "\nkind: Policy\ndatabases:\n")
	for i := range 1000 {
		fmt.Fprintf(&text, "- {name: d%d, postgresql: {dsn: {env: DSN}}}\n", i)
	}
	text.WriteString("workloads:\n")
	for i := range 1000 {
		fmt.Fprintf(&text, "- {name: w%d, databaseRefs: [{name: d%d, user: u, connectionsPerPod: 1}], sqs: {queueName: q, messagesPerPod: 1}}\n", i, i)
	}
	set := resolveText(t, Source{}, text.String())
	if len(set.Databases) != 1000 || len(set.Workloads) != 1000 || len(set.Groups(nil)) != 1000 {
		t.Errorf("%d databases, %d workloads", len(set.Databases), len(set.Workloads))
	}
}

// TestEveryBoundHolds sets every number and duration that can stand in a document
// to its bounds and just past them, and every value to one of another type.
func TestEveryBoundHolds(t *testing.T) {
	tested := 0
	check := func(path, text string, right bool) {
		t.Helper()
		tested++
		var root yaml.Node
		document := "working_everything.yaml"
		if strings.Contains(path, ".secretKeyRef") || strings.Contains(path, ".scaledJobRef") {
			document = "working_jobs.yaml" // the other ones of their choices
		}
		if strings.Contains(path, ".scaleTargetRef") {
			document = "working_target.yaml"
		}
		if strings.Contains(path, ".podSelector") {
			document = "working_pods.yaml"
		}
		if err := yaml.Unmarshal([]byte(readDocument(t, document)), &root); err != nil {
			t.Fatal(err)
		}
		var value yaml.Node
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		*nodeAt(t, root.Content[0], path) = *value.Content[0]
		data, err := yaml.Marshal(&root)
		if err != nil {
			t.Fatal(err)
		}
		_, problems := Parse(Source{}, data)
		wrong := slices.ContainsFunc(problems, func(p Problem) bool {
			return p.Field == path && (p.Code == CodeValue || p.Code == CodeVersion)
		})
		if wrong == right {
			t.Errorf("%s: %s: right should be %v: %v", path, text, right, problems)
		}
	}
	var walk func(shape *docShape, path string)
	var value func(v docValue, path string)
	value = func(v docValue, path string) {
		switch v.form {
		case docObject:
			check(path, "[]", false)
			walk(v.shape, path)
			return
		case docList:
			check(path, "{}", false)
			value(*v.item, path+"[0]")
			return
		case docMap:
			check(path, "[]", false)
			check(path, "{}", false)
			check(path+".app", "5", false)
			check(path+".app", "null", false)
			check(path+".app", `""`, true)
			check(path+".app", strings.Repeat("a", 63), true)
			check(path+".app", strings.Repeat("a", 64), false)
			return
		case docWhole:
			check(path, fmt.Sprint(v.least), true)
			check(path, fmt.Sprint(v.least-1), false)
			check(path, fmt.Sprint(v.most), true)
			check(path, fmt.Sprint(v.most+1), false)
			check(path, fmt.Sprintf("%q", fmt.Sprint(v.least)), false)
			check(path, fmt.Sprintf("%d.0", v.least), false)
		case docNumber:
			check(path, fmt.Sprint(float64(v.least)/docThousand), true)
			check(path, fmt.Sprint(float64(v.least-1)/docThousand), false)
			check(path, fmt.Sprint(v.most/docThousand), true)
			check(path, fmt.Sprintf("%d.001", v.most/docThousand), false)
			check(path, fmt.Sprintf("%q", fmt.Sprint(v.most/docThousand)), false)
			check(path, ".inf", false)
			check(path, ".5", false)
		case docShare:
			check(path, fmt.Sprint(v.most), true)
			check(path, fmt.Sprint(v.most+1), false)
			check(path, "-1", false)
			check(path, "0%", true)
			check(path, fmt.Sprintf("%d%%", v.percent), true)
			check(path, fmt.Sprintf("%d%%", v.percent+1), false)
			check(path, "1.5%", false)
		case docDuration:
			check(path, time.Duration(v.least).String(), true)
			check(path, fmt.Sprintf("%dms", v.least/1e6-1), false)
			check(path, time.Duration(v.most).String(), true)
			check(path, fmt.Sprintf("%dms", v.most/1e6+1), false)
			check(path, "30", false)
		case docFlag:
			check(path, "false", true)
			check(path, `"false"`, false)
			check(path, "no", false)
		case docWord:
			check(path, "5", false)
			check(path, `""`, false)
			if v.text.most != 0 && v.text.enum == nil {
				check(path, "/"+strings.Repeat("a", v.text.most), false)
			}
		}
		check(path, "null", false)
		check(path, "[]", false)
		check(path, "{}", false)
	}
	walk = func(shape *docShape, path string) {
		for _, f := range shape.fields {
			switch at := docJoin(path, f.key); at {
			case "databases[0].postgresql.dsn.env", "workloads[0].sqs.queueName":
				continue // the other one of its choice stands in the document
			case "apiVersion", "kind":
				check(at, "other", false)
			default:
				value(f.docValue, at)
			}
		}
	}
	walk(docPolicyShape, "")
	if tested < 200 {
		t.Errorf("only %d values tried", tested)
	}
}

// nodeAt returns the value at the path of a problem.
func nodeAt(t *testing.T, n *yaml.Node, path string) *yaml.Node {
	t.Helper()
	key, rest, _ := strings.Cut(path, ".")
	key, indexed := strings.CutSuffix(key, "[0]")
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != key {
			continue
		}
		found := n.Content[i+1]
		if indexed {
			found = found.Content[0]
		}
		if rest == "" {
			return found
		}
		return nodeAt(t, found, rest)
	}
	t.Fatalf("the document has no %s", path)
	return nil
}
