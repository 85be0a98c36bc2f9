package contender_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/expr-lang/expr"
	kedav1alpha1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/keda-headroom/headroom/e2e/contender"
	"github.com/keda-headroom/headroom/e2e/scenario"
	"github.com/keda-headroom/headroom/policy"
)

func read(t *testing.T) ([]contender.Contender, []scenario.Scenario) {
	t.Helper()
	contenders, err := contender.ReadDir(os.DirFS("../contenders"))
	if err != nil {
		t.Fatal(err)
	}
	scenarios, err := scenario.ReadDir(os.DirFS("../scenarios"))
	if err != nil {
		t.Fatal(err)
	}
	return contenders, scenarios
}

func lane(s scenario.Scenario) contender.Lane {
	return contender.Lane{
		Scenario: s, Namespace: "lane", Headroom: "127.0.0.1:6000",
		Database: contender.Database{Host: "127.0.0.1", Port: "5432", Name: "shop", Worker: "worker"},
		AWS:      contender.AWS{Endpoint: "http://127.0.0.1:4566", Region: "us-east-1"},
		Fleets:   contender.Fleets(s, func(fleet string) string { return "http://127.0.0.1:4566/000000000000/" + fleet }),
	}
}

// decode reads manifests strictly, as the types that they claim to be.
func decode(t *testing.T, manifests []byte) []runtime.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), rbacv1.AddToScheme(scheme), kedav1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifests)))
	var out []runtime.Object
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(strings.TrimPrefix(string(document), "---")) == "" {
			continue
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%v in:\n%s", err, document)
		}
		out = append(out, object)
	}
}

// Every contender has manifests for every scenario, that the types of
// Kubernetes, of KEDA and of Headroom take without a field left over.
func TestManifestsOfTheRepository(t *testing.T) {
	t.Parallel()
	contenders, scenarios := read(t)
	for _, c := range contenders {
		for _, s := range scenarios {
			for _, v := range c.Sweep() {
				t.Run(fmt.Sprintf("%s/%s/%s", c.Name, s.Name, v.Label()), func(t *testing.T) {
					t.Parallel()
					manifests, err := v.Manifests(lane(s))
					if err != nil {
						t.Fatal(err)
					}
					check(t, v, s, decode(t, manifests))
				})
			}
		}
	}
}

func check(t *testing.T, v contender.Variant, s scenario.Scenario, objects []runtime.Object) {
	t.Helper()
	scaled := map[string]bool{}
	for _, object := range objects {
		switch object := object.(type) {
		case *kedav1alpha1.ScaledObject:
			scaled[object.Name] = true
			if object.Spec.ScaleTargetRef.Name != object.Name || len(object.Spec.Triggers) == 0 {
				t.Errorf("ScaledObject %s scales %q by %d triggers", object.Name, object.Spec.ScaleTargetRef.Name, len(object.Spec.Triggers))
			}
			checkFormula(t, object)
		case *corev1.ConfigMap:
			source := policy.Source{Where: "policy.yaml", Namespace: "lane"}
			if _, problems := policy.Parse(source, []byte(object.Data["policy.yaml"])); policy.HasErrors(problems) {
				t.Errorf("policy: %v", problems)
			}
		}
	}
	want := len(s.Expand())
	if v.Replicas == contender.Fixed {
		want = 0
	}
	if len(scaled) != want {
		t.Errorf("there are ScaledObjects for %d fleets, want %d", len(scaled), want)
	}
}

// checkFormula evaluates a formula as KEDA does: its result has to be a float,
// whatever the readings are, and never negative.
func checkFormula(t *testing.T, object *kedav1alpha1.ScaledObject) {
	t.Helper()
	if object.Spec.Advanced == nil || object.Spec.Advanced.ScalingModifiers.Formula == "" {
		return
	}
	readings := map[string]float64{}
	for _, trigger := range object.Spec.Triggers {
		readings[trigger.Name] = 1
	}
	program, err := expr.Compile(object.Spec.Advanced.ScalingModifiers.Formula, expr.Env(readings))
	if err != nil {
		t.Fatal(err)
	}
	for _, reading := range []map[string]float64{
		{"queue": 0, "room": 97}, {"queue": 1800, "room": 0}, {"queue": 1800, "room": 81}, {"queue": 3, "room": 97},
	} {
		data := map[string]any{}
		for name, value := range reading {
			data[name] = value
		}
		out, err := expr.Run(program, data)
		if err != nil {
			t.Fatal(err)
		}
		if f, isFloat := out.(float64); !isFloat || f < 0 || (reading["queue"] > 0 && reading["room"] > 60 && f < 1) {
			t.Errorf("with %v the formula says %T %v", reading, out, out)
		}
	}
}

func TestContendersOfTheRepository(t *testing.T) {
	t.Parallel()
	contenders, scenarios := read(t)
	var names []string
	for _, c := range contenders {
		names = append(names, c.Name)
	}
	if want := []string{"stock", "static", "formula", "headroom-target", "headroom-gate", "fixed"}; !slices.Equal(names, want) {
		t.Errorf("contenders are %v, want %v", names, want)
	}
	for _, c := range contenders {
		if c.Name != "formula" {
			continue
		}
		sweep := c.Sweep()
		if len(sweep) != 12 || sweep[0].Label() != "reserve 5, stabilization 0, tolerance 0" {
			t.Errorf("the formula has %d variants, the first is %q", len(sweep), sweep[0].Label())
		}
		shown := c.ShownVariant().Label()
		if !slices.ContainsFunc(sweep, func(v contender.Variant) bool { return v.Label() == shown }) {
			t.Errorf("the shown variant %q is not one of the sweep", shown)
		}
	}
	for _, c := range contenders {
		v := c.ShownVariant()
		fleet := lane(scenarios[0]).Fleets[0]
		want := fleet.MinReplicas
		if c.Name == "fixed" {
			want = fleet.FixedReplicas
		}
		if got := v.StartReplicas(fleet); got != want {
			t.Errorf("%s begins with %d replicas, want %d", c.Name, got, want)
		}
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	const minimal = "title: Somebody\nabout: Does something.\norder: 1\ngrid: {a: [\"1\", \"2\"]}\nshown: {a: \"1\"}\nlane: '{{ .Namespace }}'\n"
	if _, err := contender.Parse("somebody", []byte(minimal)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ old, new, want string }{
		{minimal, "", "expected an object, found nothing"},
		{"about:", "abut:", "abut is not a field here"},
		{"title: Somebody", "title: ''", "title: expected one line"},
		{"Does something.", "''", "about: expected what it is"},
		{"order: 1", "order: 0", "order: expected 1 or more, found 0"},
		{"order: 1", "order: 1\nreplicas: Most", `replicas: expected Min or Fixed, found "Most"`},
		{"order: 1", "order: 1\ngate: true", "gate: expected headroom to be true too"},
		{`shown: {a: "1"}`, `shown: {a: "3"}`, `shown.a: expected a value of the grid, found "3"`},
		{`shown: {a: "1"}`, `shown: {a: "1", b: "3"}`, "shown.b: expected a parameter of the grid"},
		{"{{ .Namespace }}", "{{ .Namespace ", "unclosed action"},
		{"order: 1", "order: 1\n---\norder: 2", "one document"},
	} {
		_, err := contender.Parse("somebody", []byte(strings.Replace(minimal, test.old, test.new, 1)))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: error is %v, want one that contains %q", test.new, err, test.want)
		}
	}
	c, err := contender.Parse("somebody", []byte(strings.Replace(minimal, ".Namespace", ".Nothing", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ShownVariant().Manifests(contender.Lane{}); err == nil || !strings.Contains(err.Error(), "Nothing") {
		t.Errorf("error of a template with an unknown name is %v", err)
	}
}
