package policies

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// workload is the part of a policy that describes one, in mode Target.
func workload(name, database string, connectionsPerPod any) string {
	return fmt.Sprintf(`- name: %s
  mode: Target
  scaledObjectRef: {name: %[1]s}
  databaseRefs: [{name: %[2]s, user: %[1]s, connectionsPerPod: %[3]v}]
  sqs: {queueName: %[1]s, messagesPerPod: 20}
`, name, database, connectionsPerPod)
}

// document is a policy of a database, "" for none, and workloads.
func document(database string, workloads ...string) string {
	text := "apiVersion: keda-headroom.github.io/v1alpha1\nkind: Policy\n"
	if database != "" {
		text += "databases: [{name: " + database + ", postgresql: {dsn: {env: DSN}}}]\n"
	}
	if len(workloads) > 0 {
		text += "workloads:\n" + strings.Join(workloads, "")
	}
	return text
}

// input is a ConfigMap of the namespace shop that was created so many seconds
// after the others began.
func input(name string, age int, content string) Input {
	return Input{
		Key: "shop/" + name, Name: name, Content: []byte(content),
		Source: policy.Source{Namespace: "shop", Name: name, CreatedAt: epoch.Add(time.Duration(age) * time.Second), Where: "ConfigMap shop/" + name + " policy.yaml"},
	}
}

// describe is a result in one line: workloads with connections per pod and ! where
// refused, databases, verdicts.
func describe(r Result) string {
	var parts []string
	for _, w := range r.Set.Workloads {
		mark := ""
		if w.Refusal != nil {
			mark = "!"
		}
		var on []string
		for _, u := range w.Databases {
			on = append(on, fmt.Sprint(u.ConnectionsPerPod))
		}
		parts = append(parts, fmt.Sprintf("%s=%s%s", w.ID.Name, strings.Join(on, ","), mark))
	}
	for _, d := range r.Set.Databases {
		parts = append(parts, d.ID.Name)
	}
	for _, v := range r.Verdicts {
		mark := ""
		if v.LastGood {
			mark = "(last good)"
		}
		parts = append(parts, v.Name+":"+string(v.State)+mark)
	}
	if !r.InForce {
		parts = append(parts, "nothing in force")
	}
	return strings.Join(parts, " ")
}

// world is a keeper of one origin, and who was opted out.
type world struct {
	t        *testing.T
	keeper   *Keeper
	maps     *Origin
	optedOut map[string]bool
	gated    map[string]bool // pods of it wait, unless another has its target
	last     Result
	log      bytes.Buffer
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, optedOut: map[string]bool{}, gated: map[string]bool{}}
	w.keeper = NewKeeper(Options{
		Loaded:   func(r Result) { w.last = r },
		OptedOut: func(p policy.Workload) bool { return w.optedOut[p.ID.Name] },
		Leaves: func(p policy.Workload, others []policy.Workload) (policy.Workload, bool) {
			if p.ScaledObject != "" {
				p.ScaledObject, p.ScaleTarget = "", &policy.ScaleTarget{APIVersion: "apps/v1", Kind: "Deployment", Name: p.ScaledObject}
			}
			for _, o := range others {
				if o.ID == p.ID || (o.ScaleTarget != nil && *o.ScaleTarget == *p.ScaleTarget) {
					return p, false
				}
			}
			return p, w.gated[p.ID.Name]
		},
		Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	w.maps = w.keeper.Origin("configmaps", false)
	return w
}

func (w *world) step(what, want string, inputs ...Input) {
	w.t.Helper()
	w.maps.Found(Found{Inputs: inputs})
	w.is(what, want)
}

func (w *world) is(what, want string) {
	w.t.Helper()
	if got := describe(w.last); got != want {
		w.t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func TestTheOldestWinsAndTheOtherKeepsItsLastGoodVersion(t *testing.T) {
	w := newWorld(t)
	a := input("a", 1, document("db", workload("orders", "db", 5)))
	b := input("b", 2, document("", workload("invoices", "db", 3)))
	w.step("two that agree", "invoices=3 orders=5 db a:Accepted b:Accepted", a, b)
	bad := input("b", 2, document("", workload("invoices", "db", 4), workload("orders", "db", 9)))
	w.step("the younger claims what the older governs", "invoices=3 orders=5 db a:Accepted b:Conflict(last good)", a, bad)
	var said []string
	for _, v := range w.last.Verdicts {
		for _, p := range v.Problems {
			said = append(said, v.Name+": "+p.String())
		}
	}
	if text := strings.Join(said, "\n"); len(said) != 2 || !strings.HasPrefix(text, "b: ") || !strings.Contains(text, "workloads[1].name") {
		t.Errorf("expected the conflict to be said of b, and where it is, found %q", text)
	}
	if w.last.Valid || len(w.last.Documents) != 2 || w.last.Documents[1] != (Document{"shop", "b", false}) {
		t.Errorf("expected b not to be valid, found %+v", w.last.Documents)
	}
	w.step("somebody else's edits take effect all the same", "invoices=3 orders=6 db a:Accepted b:Conflict(last good)",
		input("a", 1, document("db", workload("orders", "db", 6))), bad)
	w.step("the older gives it up", "invoices=4 orders=9 db a:Accepted b:Accepted", input("a", 1, document("db")), bad)

	w = newWorld(t)
	w.step("from the start the younger contributes nothing", "orders=5 db a:Accepted b:Conflict", a, bad)
	w.step("also where it comes first", "orders=5 db a:Accepted b:Conflict", bad, a)
}

func TestAnOlderOneTakesOver(t *testing.T) {
	w := newWorld(t)
	a := input("a", 1, document("db"))
	b := input("b", 2, document("", workload("orders", "db", 5), workload("invoices", "db", 3)))
	w.step("two that agree", "invoices=3 orders=5 db a:Accepted b:Accepted", a, b)
	w.step("the other workload of the one that lost is frozen", "invoices=3! orders=9 db a:Accepted b:Conflict",
		input("a", 1, document("db", workload("orders", "db", 9))), b)
}

func TestABadEditNeverTakesEffect(t *testing.T) {
	w := newWorld(t)
	a := input("a", 1, document("db", workload("orders", "db", 5)))
	w.step("one", "orders=5 db a:Accepted", a)
	w.step("a bad edit, and a bad one that is new", "orders=5 db a:Rejected(last good) b:Rejected",
		input("a", 1, document("db", workload("orders", "db", `"many"`))), input("b", 2, "kind: Policy"))
	if text := w.log.String(); !strings.Contains(text, "ConfigMap shop/a policy.yaml") || !strings.Contains(text, "connectionsPerPod") {
		t.Errorf("the log does not say what is wrong, and where:\n%s", text)
	}
	broken := input("c", 3, "")
	broken.Err = errors.New("expected a key of data")
	w.step("nothing to read", "orders=5 db a:Accepted c:Rejected", a, broken)
	w.log.Reset()
	w.step("again", "orders=5 db a:Accepted c:Rejected", a, broken)
	if strings.Contains(w.log.String(), "policy problem") {
		t.Errorf("what was said is said again:\n%s", &w.log)
	}
}

func TestOneBadConfigMapKeepsNobodyWaiting(t *testing.T) {
	w := newWorld(t)
	w.step("alone", "a:Rejected", input("a", 1, "kind: Policy"))
	if !w.last.InForce || w.last.Valid {
		t.Errorf("expected an empty policy in force, found %+v", w.last)
	}
}

func TestADeletedPolicyFreezesUntilOptedOut(t *testing.T) {
	w := newWorld(t)
	db := input("db", 1, document("db"))
	watched := strings.Replace(workload("watched", "db", 2), "Target", "Observe", 1)
	a := input("a", 2, document("", workload("orders", "db", 5), workload("invoices", "db", 3), watched))
	w.step("in force", "invoices=3 orders=5 watched=2 db a:Accepted db:Accepted", a, db)
	w.step("deleted: who is observed is dropped at once", "invoices=3! orders=5! db db:Accepted", db)
	if r := w.last.Set.Workloads[1].Refusal; r.Reason != policy.PolicyInvalid || !strings.Contains(r.Sentence, "shop/orders") || !strings.Contains(r.Sentence, "ConfigMap shop/a") {
		t.Errorf("the refusal does not say which policy is gone: %+v", r)
	}
	if !w.last.Valid || len(w.last.Frozen) != 2 || len(w.last.Problems) != 2 || w.last.Problems[0].Code != CodeDeleted {
		t.Errorf("expected two frozen workloads and a warning of each, found %+v", w.last)
	}
	w.keeper.Recheck()
	w.is("still named", "invoices=3! orders=5! db db:Accepted")
	w.optedOut["invoices"] = true
	w.keeper.Recheck()
	w.is("one is opted out", "orders=5! db db:Accepted")
	w.step("the database's policy is deleted too: it is still read", "orders=5! db")
	if kept := w.last.Kept; len(kept) != 2 {
		t.Errorf("expected both policies to be kept over a restart, found %+v", kept)
	}
	w.step("another policy describes it again, as far as it can be understood", "orders=5! db b:Accepted", input("b", 9, document("", workload("orders", "db", 7))))
	w.step("and the database", "orders=7 db b:Accepted db:Accepted", input("b", 9, document("", workload("orders", "db", 7))), db)
	w.optedOut["orders"] = true
	w.step("opted out before it is deleted", "db db:Accepted", db)
	w.step("nobody uses the database any more", "")
	if len(w.last.Kept) != 0 {
		t.Errorf("expected nothing to be kept, found %+v", w.last.Kept)
	}
}

func TestARenamedPolicyFreezesNobody(t *testing.T) {
	w := newWorld(t)
	text := document("db", workload("orders", "db", 5))
	w.step("in force", "orders=5 db a:Accepted", input("a", 1, text))
	w.step("another ConfigMap with the same", "orders=5 db a:Accepted b:Conflict", input("a", 1, text), input("b", 2, text))
	w.step("the first is deleted", "orders=5 db b:Accepted", input("b", 2, text))
	w.step("another workload for the same ScaledObject", "orders-2=6 db b:Accepted",
		input("b", 2, document("db", strings.Replace(workload("orders", "db", 6), "- name: orders", "- name: orders-2", 1))))
}

func TestRestart(t *testing.T) {
	w := newWorld(t)
	a := input("a", 1, document("db", workload("orders", "db", 5)))
	b := input("b", 2, document("", workload("invoices", "db", 3)))
	c := input("c", 3, document("", workload("mails", "db", 2)))
	w.step("before", "invoices=3 mails=2 orders=5 db a:Accepted b:Accepted c:Accepted", a, b, c)
	before := w.last.Kept

	w = newWorld(t)
	var kept []Kept
	for _, k := range before {
		kept = append(kept, k.Kept)
	}
	w.keeper.Restore(kept)
	w.step("one is broken and another deleted meanwhile", "invoices=3! mails=2 orders=5 db a:Rejected(last good) c:Accepted",
		input("a", 1, "kind: Policy"), c)
	if d := before[0]; len(d.Databases) != 1 || d.Databases[0] != (metrics.ID{Namespace: "shop", Name: "db"}) || len(d.Workloads) != 1 {
		t.Errorf("expected what a describes beside what is kept of it, found %+v", d)
	}
}

func TestNothingIsInForceBeforeEachOriginReported(t *testing.T) {
	var last Result
	k := NewKeeper(Options{Loaded: func(r Result) { last = r }})
	files, maps := k.Origin("files", true), k.Origin("configmaps", false)
	file := Input{Key: "/f", Name: "f", Source: policy.Source{Where: "/f"}, Content: []byte(
		strings.Replace(document("", workload("orders", "db", 7)), "kind: Policy", "kind: Policy\nmetadata: {namespace: shop}", 1))}
	if r := files.Found(Found{Inputs: []Input{file}}); r.InForce || last.InForce {
		t.Errorf("in force too early: %+v", r)
	}
	maps.Found(Found{Inputs: []Input{input("a", 1, document("db", workload("orders", "db", 5)))}})
	if got, want := describe(last), "orders=! f:Accepted a:Conflict"; got != want {
		t.Errorf("a file is older than any ConfigMap: got %s, want %s", got, want)
	}
}
