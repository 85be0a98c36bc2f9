package bench

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/e2e/bench/result"
	"github.com/keda-headroom/headroom/e2e/contender"
	"github.com/keda-headroom/headroom/e2e/scenario"
	"github.com/keda-headroom/headroom/e2e/worker"
)

func repository(t *testing.T) Options {
	t.Helper()
	o := Defaults()
	var err error
	if o.Scenarios, err = scenario.ReadDir(os.DirFS("../scenarios")); err != nil {
		t.Fatal(err)
	}
	if o.Contenders, err = contender.ReadDir(os.DirFS("../contenders")); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestPlan(t *testing.T) {
	t.Parallel()
	formulas := func(n int, before ...string) []string {
		return append(append(before, slices.Repeat([]string{"formula"}, n)...), "fixed")
	}
	for _, test := range []struct {
		name    string
		change  func(*Options)
		batches [][]string
		err     string
	}{
		{"what contenders show", func(o *Options) { o.NoSweep = true }, [][]string{formulas(0, "stock", "static", "formula", "headroom-target", "headroom-gate")}, ""},
		{"a sweep begins with what contenders show", func(*Options) {}, [][]string{formulas(0, "stock", "static", "formula", "headroom-target", "headroom-gate"), formulas(5), formulas(5), formulas(1)}, ""},
		{"a scenario that is heavy", func(o *Options) { o.Scenario = []string{"forty-fleets"} }, [][]string{formulas(0, "stock", "static", "formula", "headroom-target"), formulas(3, "headroom-gate"), formulas(4), formulas(4)}, ""},
		{"all at once", func(o *Options) { o.Lanes = 0 }, [][]string{formulas(11, "stock", "static", "formula", "headroom-target", "headroom-gate")}, ""},
		{"two at a time beside fixed replicas", func(o *Options) { o.Lanes, o.NoSweep = 3, true }, [][]string{{"stock", "static", "fixed"}, {"formula", "headroom-target", "fixed"}, {"headroom-gate", "fixed"}}, ""},
		{"one contender", func(o *Options) { o.Contender = []string{"stock"} }, [][]string{{"stock", "fixed"}}, ""},
		{"fixed replicas alone", func(o *Options) { o.Contender = []string{"fixed"} }, [][]string{{"fixed"}}, ""},
		{"a scenario that is not for sweeps", func(o *Options) { o.Scenario = []string{"leak"} }, [][]string{formulas(0, "stock", "static", "formula", "headroom-target", "headroom-gate")}, ""},
		{"an unknown contender", func(o *Options) { o.Contender = []string{"nobody"} }, nil, `contender: expected one of stock, static, formula, headroom-target, headroom-gate, fixed, found "nobody"`},
		{"an unknown scenario", func(o *Options) { o.Scenario = []string{"peace"} }, nil, `found "peace"`},
		{"no seed", func(o *Options) { o.Seeds = 0 }, nil, "seeds: expected 1 or more, found 0"},
		{"no network", func(o *Options) { o.FirstNetwork = 9 }, nil, "first network: expected 10 to 249, found 9"},
		{"no room", func(o *Options) { o.Lanes = 1 }, nil, "lanes: expected 2 or more"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := repository(t)
			o.Scenario = []string{"burst"}
			test.change(&o)
			productions, err := o.plan()
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error is %v, want one with %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var names [][]string
			for _, batch := range productions[0].batches {
				var one []string
				for _, v := range batch {
					one = append(one, v.Name)
				}
				names = append(names, one)
			}
			if d := cmp.Diff(test.batches, names); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestPlanOfScenarios(t *testing.T) {
	t.Parallel()
	o := repository(t)
	all, err := o.plan()
	if err != nil {
		t.Fatal(err)
	}
	o.Scenario = []string{"spike", "burst"}
	some, err := o.plan()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(o.Scenarios) || len(some) != 2 || some[0].scenario.Name != "burst" || some[1].scenario.Name != "spike" {
		t.Errorf("plays %d scenarios, and %v", len(all), some)
	}
}

func TestProcessorTime(t *testing.T) {
	t.Parallel()
	before, err := readProcessorTime([]byte("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 2 3\n"))
	if err != nil {
		t.Fatal(err)
	}
	after, err := readProcessorTime([]byte("cpu  160 0 120 710 110 0 0 0 90 0\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := after.busy(before); got != 0.8 {
		t.Errorf("busy %v, want 0.8", got)
	}
	if got := before.busy(before); got != 0 {
		t.Errorf("busy %v in no time", got)
	}
	for _, text := range []string{"", "cpu 1 2", "mem 1 2 3 4 5 6 7 8 9", "cpu 1 2 3 x 5 6 7 8 9"} {
		if _, err := readProcessorTime([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

func TestThisMachine(t *testing.T) {
	t.Parallel()
	m, err := thisMachine()
	if err != nil {
		t.Fatal(err)
	}
	if m.cores < 1 || m.memoryGiB <= 0 {
		t.Errorf("this machine has %d cores and %v GiB", m.cores, m.memoryGiB)
	}
	if load, err := readLoad([]byte("2.50 1.00 0.50 3/400 1234\n")); err != nil || load != 2.5 {
		t.Errorf("load is %v, %v", load, err)
	}
	if memory, err := readMemoryGiB([]byte("MemTotal:        2097152 kB\nMemFree: 1 kB\n")); err != nil || memory != 2 {
		t.Errorf("memory is %v, %v", memory, err)
	}
}

func TestTally(t *testing.T) {
	t.Parallel()
	begin := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	var workers tally
	for _, line := range []string{
		`{"kind":"ready","at":"2030-01-01T00:00:00Z"}`,
		`{"kind":"refused","at":"2029-12-31T23:59:59Z","count":5}`,
		`{"kind":"refused","at":"2030-01-01T00:00:02Z","count":2}`,
		`{"kind":"failed","at":"2030-01-01T00:00:03Z","text":"first"}`,
		`{"kind":"failed","at":"2030-01-01T00:00:03Z","text":"second"}`,
		`{"kind":"refused","at":"2030-01-01T00:01:00Z","count":1}`,
		`not of a worker`,
	} {
		workers.line([]byte(line))
	}
	if got, want := workers.between(begin, begin.Add(30*time.Second)), []time.Duration{2 * time.Second, 2 * time.Second}; !slices.Equal(got, want) {
		t.Errorf("refused at %v, want %v", got, want)
	}
	if got := workers.total(); got != 8 {
		t.Errorf("refused %d in all, want 8", got)
	}
	if n, first := workers.otherErrors(); n != 2 || first != "first" {
		t.Errorf("%d other errors, the first %q", n, first)
	}
}

func TestArrivals(t *testing.T) {
	t.Parallel()
	random := func() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }
	got := arrivals(random(), 1000, 5*time.Second)
	if !slices.IsSorted(got) || got[0] < 0 || got[999] >= 5*time.Second || got[500] < time.Second || got[500] > 4*time.Second {
		t.Errorf("from %s over %s to %s", got[0], got[500], got[999])
	}
	if again := arrivals(random(), 1000, 5*time.Second); !slices.Equal(got, again) {
		t.Error("the same seed gave other arrivals")
	}
	if at := arrivals(random(), 2, 0); !slices.Equal(at, []time.Duration{0, 0}) {
		t.Errorf("at once is %v", at)
	}
}

func deploymentOf(name string, spec, ready int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.DeploymentSpec{Replicas: &spec},
		Status: appsv1.DeploymentStatus{ReadyReplicas: ready},
	}
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	begin := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	r := &replicas{fleets: map[string]*fleetReplicas{}}
	at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
	r.see(deploymentOf("a", 9, 0), at(-20))
	r.see(deploymentOf("a", 1, 0), at(-10)) // a turn before the beginning
	r.see(deploymentOf("a", 1, 1), at(-5))
	r.see(deploymentOf("b", 2, 2), at(-5))
	if !r.allReady(2) || r.allReady(3) {
		t.Error("two fleets are ready, and there are no three")
	}
	r.see(deploymentOf("a", 14, 1), at(10))
	r.see(deploymentOf("a", 14, 14), at(15)) // no change of what is wanted
	r.see(deploymentOf("a", 12, 14), at(20))
	r.see(deploymentOf("a", 13, 12), at(30))
	r.see(deploymentOf("b", 4, 2), at(30))
	r.see(deploymentOf("b", 1, 2), at(40))
	r.see(deploymentOf("a", 1, 12), at(90)) // after the end
	if r.allReady(2) {
		t.Error("fleets are ready that are not")
	}
	if got := r.target(); got != 2 {
		t.Errorf("the target is %d", got)
	}
	if got := r.turns(begin, at(60)); got != 3 { // a: down, up; b: down
		t.Errorf("%d turns, want 3", got)
	}
}

func TestInNamespace(t *testing.T) {
	t.Parallel()
	out, err := inNamespace([]byte("---\n\n---\nkind: Secret\nmetadata: {name: a}\n---\nkind: Secret\nmetadata: {name: b, namespace: elsewhere}\n"), "lane")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"name":"a","namespace":"lane"`, `"name":"b","namespace":"elsewhere"`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s has no %s", out, want)
		}
	}
	if n := strings.Count(string(out), "---"); n != 2 {
		t.Errorf("there are %d documents", n)
	}
}

// A worker takes the environment that the Deployment gives it.
func TestDeployment(t *testing.T) {
	t.Parallel()
	o := repository(t)
	for _, s := range o.Scenarios {
		l := contender.Lane{
			Scenario: s, Namespace: "lane", AWS: contender.AWS{Endpoint: "http://127.0.0.1:1", Region: region},
			Database: contender.Database{Host: "127.0.0.1", Port: "5432", Name: databaseName, Worker: workerRole},
			Fleets:   contender.Fleets(s, func(fleet string) string { return "http://127.0.0.1:1/0/" + fleet }),
		}
		for _, f := range l.Fleets {
			d := deployment(l, f, 3, false)
			if *d.Spec.Replicas != 3 || d.Namespace != "lane" || d.Name != f.Name {
				t.Errorf("Deployment %s/%s has %d replicas", d.Namespace, d.Name, *d.Spec.Replicas)
			}
			if _, gated := d.Spec.Template.Labels[gateLabel]; gated {
				t.Errorf("pods of %s are gated, which nobody asked for", f.Name)
			}
			if d := deployment(l, f, 3, true); d.Spec.Template.Labels[gateLabel] != "true" || d.Spec.Selector.MatchLabels[gateLabel] != "" {
				t.Errorf("pods of a gated Deployment have labels %v, and are selected by %v", d.Spec.Template.Labels, d.Spec.Selector.MatchLabels)
			}
			environment := map[string]string{}
			for _, e := range d.Spec.Template.Spec.Containers[0].Env {
				environment[e.Name] = e.Value
				if e.ValueFrom != nil {
					environment[e.Name] = e.ValueFrom.FieldRef.FieldPath
				}
			}
			config, err := worker.FromEnvironment(func(name string) string { return environment[name] })
			if err != nil {
				t.Fatal(err)
			}
			if config.Connections+config.Extra != f.Opens() || config.Work != f.Work.Duration() || config.Drain != f.Termination.Duration() {
				t.Errorf("%s/%s: a worker opens %d and %d connections, works %s, and ends within %s", s.Name, f.Name, config.Connections, config.Extra, config.Work, config.Drain)
			}
			if least := config.Work + config.Drain; time.Duration(*d.Spec.Template.Spec.TerminationGracePeriodSeconds)*time.Second <= least {
				t.Errorf("%s/%s: pods are killed after %d s, and need %s to end", s.Name, f.Name, *d.Spec.Template.Spec.TerminationGracePeriodSeconds, least)
			}
		}
	}
}

func TestHasCondition(t *testing.T) {
	t.Parallel()
	object := func(status string) map[string]any {
		return map[string]any{"status": map[string]any{"conditions": []any{
			map[string]any{"type": "Active", "status": "True"}, map[string]any{"type": "Ready", "status": status},
		}}}
	}
	if !hasCondition(object(string(corev1.ConditionTrue)), "Ready") || hasCondition(object("Unknown"), "Ready") || hasCondition(map[string]any{}, "Ready") {
		t.Error("a condition was misread")
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	var r result.Refusals
	for _, role := range []string{workerRole, workerRole, otherRole, "keda", "headroom", "postgres"} {
		count(&r, role)
	}
	if r != (result.Refusals{Workers: 2, Other: 1, Autoscaler: 3}) {
		t.Errorf("counted %+v", r)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	got := limits(5)
	want := []string{
		"--kube-api-qps=100", "--kube-api-burst=150", "--concurrent-deployment-syncs=25",
		"--concurrent-replicaset-syncs=25", "--concurrent-horizontal-pod-autoscaler-syncs=25",
	}
	if d := cmp.Diff(want, got["kube-controller-manager"]); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
