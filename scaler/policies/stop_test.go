package policies

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// stoppedIn names the stopped workloads of a result, and what was said of names
// that mean none.
func stoppedIn(r Result) string {
	var out []string
	for _, w := range r.Set.Workloads {
		if w.Stopped {
			out = append(out, w.ID.Name)
		}
	}
	for _, p := range r.Problems {
		if p.Code == CodeStopped {
			out = append(out, p.String())
		}
	}
	return strings.Join(out, " ")
}

func TestAnObjectStopsWhatItDescribes(t *testing.T) {
	w := newWorld(t)
	stopping := func(in Input, names ...string) Input {
		in.Stopped = names
		return in
	}
	db := input("db", 1, document("db", workload("mails", "db", 1)))
	text := document("", workload("orders", "db", 5), workload("invoices", "db", 3))
	step := func(what, want string, inputs ...Input) {
		t.Helper()
		w.maps.Found(Found{Inputs: inputs})
		if got := stoppedIn(w.last); got != want {
			t.Errorf("%s:\n got %s\nwant %s", what, got, want)
		}
	}
	step("nobody", "", db, input("a", 2, text))
	step("one", "orders", db, stopping(input("a", 2, text), "orders"))
	if !strings.Contains(w.log.String(), "stopped=1") {
		t.Errorf("the log doesn't say that one is stopped:\n%s", &w.log)
	}
	step("all of one object", "invoices orders", db, stopping(input("a", 2, text), "*"))
	step("resumed", "", db, input("a", 2, text))
	step("somebody else's, and nobody's",
		`invoices ConfigMap shop/a policy.yaml: warning: is to be stopped: expected a workload that this object describes (invoices, orders), found "mails"`+
			` ConfigMap shop/a policy.yaml: warning: is to be stopped: expected a workload that this object describes (invoices, orders), found "order"`,
		db, stopping(input("a", 2, text), "invoices", "mails", "order"))
	if !w.last.Valid {
		t.Error("a name that means none keeps something out of force")
	}
	step("a bad edit beside it", "orders", db, stopping(input("a", 2, "kind: Policy"), "orders"))
	step("a bad edit, all", "invoices orders", db, stopping(input("a", 2, "kind: Policy"), "*"))
	step("deleted: frozen as ever", "", db)
	w.is("deleted: frozen as ever", "invoices=3! mails=1 orders=5! db db:Accepted")

	// Who loses a conflict stops nobody.
	w = newWorld(t)
	step("conflict", `ConfigMap shop/b policy.yaml: warning: is to be stopped: expected a workload that this object describes, which are none, found "*"`,
		input("a", 1, document("db", workload("orders", "db", 5))), stopping(input("b", 2, document("", workload("orders", "db", 9))), "*"))

	// Two keys of one ConfigMap are one object.
	w = newWorld(t)
	first, second := stopping(input("a", 1, document("db", workload("orders", "db", 5))), "invoices"), stopping(input("a", 1, document("", workload("invoices", "db", 3))), "invoices")
	second.Key, second.Source.Where = "shop/a/second", "ConfigMap shop/a second.yaml"
	step("two keys", "invoices", first, second)

	var many []string
	for i := range 12 {
		many = append(many, workload(fmt.Sprintf("w%02d", i), "db", 1))
	}
	w = newWorld(t)
	step("many", `ConfigMap shop/a policy.yaml: warning: is to be stopped: expected a workload that this object describes (w00, w01, w02, w03, w04, w05, w06, w07, w08, w09, 2 more), found "w"`,
		stopping(input("a", 1, document("db", slices.Concat(many)...)), "w"))
}
