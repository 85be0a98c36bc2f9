package bypass

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"

	"github.com/keda-headroom/headroom/internal/kedaapi"
)

// formula is what makes one metric of a ScaledObject's triggers. A nil one makes
// none.
type formula struct {
	modifiers kedaapi.ScalingModifiers
	names     map[string]bool // that it mentions, nil where it can't be read
	wrong     error           // why KEDA would refuse it
	ours      bool            // it mentions a trigger that asks Headroom
}

const formulaPath = "spec.advanced.scalingModifiers"

// formula returns that of the ScaledObject, nil where it has none.
func (f *finder) formula() *formula {
	if f.ScaledObject == nil || f.ScaledObject.Spec.Advanced == nil || f.ScaledObject.Spec.Advanced.ScalingModifiers == (kedaapi.ScalingModifiers{}) {
		return nil
	}
	out := &formula{modifiers: f.ScaledObject.Spec.Advanced.ScalingModifiers}
	tree, err := parser.Parse(out.modifiers.Formula)
	if err != nil {
		out.wrong = err
		return out
	}
	found := mentioned{}
	ast.Walk(&tree.Node, found)
	out.names = found
	out.ours = slices.ContainsFunc(f.Input.Triggers(), func(t kedaapi.Trigger) bool { return Asks(t) && out.mentions(t.Name) })
	return out
}

// mentioned collects the names in a formula.
type mentioned map[string]bool

// Visit takes one node of it.
func (m mentioned) Visit(node *ast.Node) {
	if name, ok := (*node).(*ast.IdentifierNode); ok {
		m[name.Value] = true
	}
}

// mentions reports whether the formula has the name of a trigger in it.
func (o *formula) mentions(name string) bool { return o != nil && name != "" && o.names[name] }

// takes reports whether the formula stands between a trigger and the HPA, and has
// a cap of ours in it, as far as can be told.
func (o *formula) takes(t kedaapi.Trigger) bool {
	return o != nil && (o.ours || o.wrong != nil) && !resourceTrigger(t)
}

// resourceTrigger reports whether KEDA hands a trigger to the HPA as it is, formula
// or not.
func resourceTrigger(t kedaapi.Trigger) bool { return t.Type == "cpu" || t.Type == "memory" }

// modifiers looks at a formula over the triggers: whether what Headroom says is in
// it, and whether it ever asks for more.
func (f *finder) modifiers() {
	o := f.formula()
	switch {
	case o == nil:
		return
	case o.wrong != nil:
		f.fails(FormulaRefused, formulaPath+".formula", "KEDA refuses the formula: "+firstLine(o.wrong), "correct it, as in max(0, min(demand, ceiling))")
		return
	case !o.ours:
		f.fails(ScalingModifiers, formulaPath,
			"the HPA sees what the formula makes of the triggers, which no ceiling bounds; below 0 it means maxReplicaCount",
			"remove scalingModifiers, or mention a trigger with metric: ceiling in the formula, as in max(0, min(demand, ceiling))")
		return
	}
	if o.modifiers.MetricType == autoscalingv2.ValueMetricType {
		f.fails(MetricType, formulaPath+".metricType",
			"with metricType Value the HPA multiplies what the formula makes by the number of ready pods", "leave metricType out, which is AverageValue")
	}
	f.tryOut(o)
}

// trials is how many sets of numbers a formula is tried with.
const trials = 512

// tryOut reckons the formula for many sets of numbers, extreme ones among them, and
// tells of the first of which it makes more replicas than the ceiling, or fewer than
// none. It proves nothing, but a formula without a cap does not get by.
func (f *finder) tryOut(o *formula) {
	perReplica, err := strconv.ParseFloat(o.modifiers.Target, 64)
	if err != nil || perReplica <= 0 {
		f.fails(FormulaRefused, formulaPath+".target", fmt.Sprintf("KEDA expects a number above 0 as target, found %q", o.modifiers.Target), `set it to "1", so that the formula makes replicas`)
		return
	}
	var triggers []kedaapi.Trigger
	numbers := map[string]float64{}
	for _, t := range f.Input.Triggers() {
		if t.Name != "" && !resourceTrigger(t) {
			triggers = append(triggers, t)
			numbers[t.Name] = 0
		}
	}
	program, err := expr.Compile(o.modifiers.Formula, expr.Env(numbers))
	if err != nil {
		f.fails(FormulaRefused, formulaPath+".formula", "KEDA refuses the formula: "+firstLine(err), "correct it: it may mention the names of triggers, but not of cpu and memory ones")
		return
	}
	next := uint64(1)
	pick := func(from ...float64) float64 {
		next = next*6364136223846793005 + 1442695040888963407 // the same numbers each time
		return from[(next>>33)%uint64(len(from))]
	}
	for range trials {
		ceiling := pick(0, 1, 3, 50)
		for _, t := range triggers {
			switch {
			case asksForCeiling(t):
				numbers[t.Name] = ceiling
			case Asks(t):
				numbers[t.Name] = math.Floor(ceiling * pick(0, 0.5, 1))
			default:
				numbers[t.Name] = pick(0, 0, 0.5, 2, 40, 1e6)
			}
		}
		result, err := expr.Run(program, numbers)
		if err != nil {
			f.fails(FormulaRefused, formulaPath+".formula", fmt.Sprintf("the formula fails with %s: %s", list(numbers), firstLine(err)), "correct it")
			return
		}
		value, ok := number(result)
		if !ok {
			continue // nil, where KEDA's fallback applies
		}
		replicas := value / perReplica
		switch {
		case value < 0 || math.IsNaN(value):
			f.fails(FormulaNegative, formulaPath+".formula",
				fmt.Sprintf("with %s the formula makes %g, and the HPA takes what is no number from 0 up for maxReplicaCount", list(numbers), value),
				"put max(0, …) around it")
			return
		case replicas > ceiling+0.001:
			f.fails(FormulaUnbounded, formulaPath+".formula",
				fmt.Sprintf("with %s the formula asks for %g replicas, where the ceiling is %g", list(numbers), math.Ceil(replicas), ceiling),
				`cap it, as in max(0, min(demand, ceiling)), with target: "1"`)
			return
		}
	}
}

// number reads what a formula makes as KEDA does.
func number(value any) (float64, bool) {
	switch v := value.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	}
	return 0, false
}

// list writes "demand 40, ceiling 3".
func list(numbers map[string]float64) string {
	var all []string
	for name, value := range numbers {
		all = append(all, fmt.Sprintf("%s %g", name, value))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
