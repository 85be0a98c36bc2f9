package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
)

func parseOne(t testing.TB, source Source, text string) Document {
	t.Helper()
	documents, problems := Parse(source, []byte(text))
	if len(documents) != 1 || len(problems) != 0 {
		t.Fatalf("%d documents, problems %v, in\n%s", len(documents), problems, text)
	}
	return documents[0]
}

// TestOldestIsInForce: age decides before the name, and the name before the place.
func TestOldestIsInForce(t *testing.T) {
	text := func(env string) string {
		return "apiVersion: " + APIVersion + "\nkind: Policy\ndatabases:\n- {name: d, postgresql: {dsn: {env: " + env + "}}}\n"
	}
	early := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	late := early.Add(time.Hour)
	for _, test := range []struct {
		what         string
		first, other Source
	}{
		{"the older", Source{Name: "z", CreatedAt: early}, Source{Name: "a", CreatedAt: late}},
		{"a file before an object", Source{Name: "z"}, Source{Name: "a", CreatedAt: early}},
		{"of one age, by name", Source{Name: "a", CreatedAt: early, Where: "z"}, Source{Name: "b", CreatedAt: early, Where: "a"}},
		{"of one name, by place", Source{Where: "a"}, Source{Where: "b"}},
	} {
		t.Run(test.what, func(t *testing.T) {
			first, other := parseOne(t, test.first, text("FIRST")), parseOne(t, test.other, text("OTHER"))
			for _, documents := range [][]Document{{first, other}, {other, first}} {
				set, problems := Resolve(documents)
				if len(set.Databases) != 1 || set.Databases[0].PostgreSQL.DSN.Env != "FIRST" {
					t.Errorf("in force: %+v", set.Databases)
				}
				if len(problems) != 1 || problems[0].Code != CodeConflict || problems[0].Where != test.other.Where {
					t.Errorf("problems: %v", problems)
				}
			}
		})
	}
}

// TestRefusals: what other documents say about a workload never makes it vanish.
func TestRefusals(t *testing.T) {
	documents, problems := Parse(Source{}, []byte(readDocument(t, "working_refused.yaml")))
	if len(problems) != 0 {
		t.Fatal(problems)
	}
	set, _ := Resolve(documents)
	got := map[string]string{}
	for _, w := range set.Workloads {
		if w.Refusal == nil {
			t.Errorf("%s is not refused", w.ID)
			continue
		}
		var uses []string
		for _, use := range w.Databases {
			uses = append(uses, use.Database.String())
		}
		got[w.ID.String()] = fmt.Sprintf("%s %v: %s", w.Refusal.Reason, uses, w.Refusal.Sentence)
	}
	want := map[string]string{
		"shop/no-such-database": "PolicyInvalid [platform/orders-db]: no policy in force describes database platform/stock-db",
		"shop/too-important":    "Unauthorized [platform/orders-db]: priority 11 is above 10, the most that database platform/orders-db admits (maxPriority)",
		"stranger/not-admitted": "Unauthorized []: database platform/orders-db does not admit namespace stranger (allowedNamespaces)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("- wanted, + found:\n%s", diff)
	}
	// A workload without a database is a group of its own.
	if groups := set.Groups(nil); len(groups) != 2 {
		t.Errorf("%d groups", len(groups))
	}
}

func TestAdmits(t *testing.T) {
	d := Database{ID: metrics.ID{Namespace: "platform", Name: "d"}, AllowedNamespaces: []string{"shop"}}
	for namespace, want := range map[string]bool{"platform": true, "shop": true, "sho": false, "*": false, "": false} {
		if d.admits(namespace) != want {
			t.Errorf("%q: expected %v", namespace, want)
		}
	}
	d.AllowedNamespaces = []string{"*"}
	if !d.admits("anybody") {
		t.Error(`"*" does not admit anybody`)
	}
}

// drawDocument makes a document that is right by itself and may be in conflict
// with others: names come from a small stock.
func drawDocument(t *rapid.T, i int) Document {
	name := func(label, prefix string) string {
		return prefix + rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, label)
	}
	namespace := rapid.SampledFrom([]string{"n", "m"}).Draw(t, "namespace")
	var text strings.Builder
	fmt.Fprintf(&text, "apiVersion: %s\nkind: Policy\ndatabases:\n", APIVersion)
	for _, d := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 2, rapid.ID).Draw(t, "databases") {
		fmt.Fprintf(&text, "- {name: d%s, postgresql: {dsn: {env: DSN}}, maxPriority: %d, allowedNamespaces: [%s]}\n",
			d, rapid.IntRange(0, 3).Draw(t, "maxPriority"), rapid.SampledFrom([]string{"", "n", "m", `"*"`}).Draw(t, "allowed"))
	}
	text.WriteString("workloads:\n")
	for _, w := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 2, rapid.ID).Draw(t, "workloads") {
		fmt.Fprintf(&text, "- name: w%s\n  priority: %d\n", w, rapid.IntRange(0, 4).Draw(t, "priority"))
		switch rapid.IntRange(0, 3).Draw(t, "scaled") {
		case 0:
			fmt.Fprintf(&text, "  scaledObjectRef: {name: %s%s}\n", name("scaledObject", "s"), w)
		case 1:
			fmt.Fprintf(&text, "  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %s%s}\n", name("target", "t"), w)
		case 2:
			fmt.Fprintf(&text, "  podSelector: {matchLabels: {app: %s%s}}\n", name("label", "l"), w)
		}
		text.WriteString("  databaseRefs:\n")
		for _, d := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 3, rapid.ID).Draw(t, "refs") {
			fmt.Fprintf(&text, "  - {name: d%s, namespace: %s, user: u, applicationName: %s, connectionsPerPod: 1}\n",
				d, rapid.SampledFrom([]string{"n", "m"}).Draw(t, "ref"), name("application", "app"))
		}
	}
	source := Source{
		Namespace: namespace,
		CreatedAt: time.Unix(int64(rapid.IntRange(0, 3).Draw(t, "age")), 0),
		Where:     fmt.Sprintf("document %d", i),
	}
	documents, problems := Parse(source, []byte(text.String()))
	if len(documents) != 1 || len(problems) != 0 {
		t.Fatalf("%v in\n%s", problems, text.String())
	}
	return documents[0]
}

func TestResolveProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var documents []Document
		for i := range rapid.IntRange(0, 6).Draw(t, "documents") {
			documents = append(documents, drawDocument(t, i))
		}
		set, problems := Resolve(documents)

		// The order of the documents decides nothing.
		shuffled := rapid.Permutation(documents).Draw(t, "shuffled")
		again, problemsAgain := Resolve(shuffled)
		if diff := cmp.Diff(set, again, cmp.AllowUnexported(intorpercent.Value{})); diff != "" {
			t.Fatalf("another order, another set:\n%s", diff)
		}
		if diff := cmp.Diff(problems, problemsAgain); diff != "" {
			t.Fatalf("another order, other problems:\n%s", diff)
		}

		// Everything is governed once, in order, and leads somewhere.
		known := map[metrics.ID]Database{}
		for i, d := range set.Databases {
			if known[d.ID] = d; i > 0 && !set.Databases[i-1].ID.Less(d.ID) {
				t.Fatalf("database %s is not in its place", d.ID)
			}
		}
		scaled := map[string]bool{}
		for i, w := range set.Workloads {
			if i > 0 && !set.Workloads[i-1].ID.Less(w.ID) {
				t.Fatalf("workload %s is not in its place", w.ID)
			}
			if key := w.ID.Namespace + "/" + w.ScaledObject; w.ScaledObject != "" {
				if scaled[key] {
					t.Fatalf("two workloads for ScaledObject %s", key)
				}
				scaled[key] = true
			}
			if w.ScaleTarget != nil {
				key := w.ID.Namespace + "/target/" + w.ScaleTarget.Name
				if scaled[key] {
					t.Fatalf("two workloads for %s", key)
				}
				scaled[key] = true
			}
			if len(w.PodSelector) > 0 {
				key := fmt.Sprint(w.ID.Namespace, "/pods/", w.PodSelector)
				if scaled[key] {
					t.Fatalf("two workloads for %s", key)
				}
				scaled[key] = true
			}
			if len(w.Databases) == 0 && w.Refusal == nil {
				t.Fatalf("%s has no database and is not refused", w.ID)
			}
			for j, use := range w.Databases {
				d, ok := known[use.Database]
				if !ok || !d.admits(w.ID.Namespace) {
					t.Fatalf("%s uses %s, which is not there or does not admit it", w.ID, use.Database)
				}
				if w.Refusal == nil && w.Priority > d.MaxPriority {
					t.Fatalf("%s has priority %d on %s", w.ID, w.Priority, d.ID)
				}
				if j > 0 && !w.Databases[j-1].Database.Less(use.Database) {
					t.Fatalf("%s: uses are not in order", w.ID)
				}
			}
		}

		// A document is in force whole, or not at all and says why.
		lost := map[string]bool{}
		for _, p := range problems {
			if p.Severity == SeverityError {
				lost[p.Where] = true
			}
		}
		databases, workloads := 0, 0
		for _, d := range documents {
			if !lost[d.Source.Where] {
				databases += len(d.policy.Databases)
				workloads += len(d.policy.Workloads)
			}
		}
		if databases != len(set.Databases) || workloads != len(set.Workloads) {
			t.Fatalf("%d databases and %d workloads in force, of %d and %d", len(set.Databases), len(set.Workloads), databases, workloads)
		}

		// What is in force divides into groups without a remainder.
		inGroups := 0
		for _, g := range set.Groups(nil) {
			inGroups += len(g.Databases) + len(g.Workloads)
		}
		if inGroups != databases+workloads {
			t.Fatalf("%d of %d in groups", inGroups, databases+workloads)
		}

		// Without those that lost, nothing changes and nothing is in conflict.
		winners := slices.DeleteFunc(slices.Clone(documents), func(d Document) bool { return lost[d.Source.Where] })
		alone, left := Resolve(winners)
		if HasErrors(left) || !cmp.Equal(set, alone, cmp.AllowUnexported(intorpercent.Value{})) {
			t.Fatalf("those in force alone: %v", left)
		}
	})
}

// TestWhatHasThePods: a workload is found by exactly one of four ways, or by its
// name.
func TestWhatHasThePods(t *testing.T) {
	documents, problems := Parse(Source{}, []byte(readDocument(t, "working_target.yaml")+"---\n"+readDocument(t, "working_jobs.yaml")))
	if HasErrors(problems) {
		t.Fatal(problems)
	}
	set, _ := Resolve(documents[:1])
	if got := set.Workloads[0]; !cmp.Equal(got.ScaleTarget, &ScaleTarget{APIVersion: "apps/v1", Kind: "Deployment", Name: "orders"}) || got.Queue() ||
		got.ScaledObject != "" || got.PodSelector != nil || got.Shedding != (Shedding{Enabled: true, MinReplicas: 1, IgnoreDisruptionBudgets: true}) {
		t.Errorf("a scale target: %+v", got)
	}
	set, _ = Resolve(documents[1:])
	if got := set.Workloads[0]; got.ScaledJob != "nightly-reports" || got.ScaleTarget != nil || !got.Queue() {
		t.Errorf("a ScaledJob: %+v", got)
	}
	documents, problems = Parse(Source{}, []byte(readDocument(t, "working_pods.yaml")))
	if HasErrors(problems) {
		t.Fatal(problems)
	}
	set, _ = Resolve(documents)
	i := slices.IndexFunc(set.Workloads, func(w Workload) bool { return w.ID.Name == "migrations" })
	if j := slices.IndexFunc(set.Workloads, func(w Workload) bool { return w.ID.Name == "all-migrations" }); set.Workloads[j].Queue() {
		t.Error("a queue asks for pods that nobody scales")
	}
	if diff := cmp.Diff(map[string]string{"app": "migrations", "app.kubernetes.io/part-of": "", "Tier": "1.5"}, set.Workloads[i].PodSelector); diff != "" {
		t.Error(diff)
	}
}
