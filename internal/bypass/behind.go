package bypass

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/keda-headroom/headroom/policy"
)

// What becomes of the ways past a target where every pod waits at the gate. Those
// that are in none of these are closed altogether: what they add for a moment waits
// for that moment, and holds nothing.
var (
	// asksForMore are ways to ask for more pods than the databases carry, for good.
	asksForMore = map[Code]bool{
		NoTrigger: true, OtherTrigger: true, MetricType: true, ScalingModifiers: true, FormulaUnbounded: true, FormulaNegative: true,
		MinReplicas: true, PausedAt: true, Fallback: true, JobStrategy: true,
	}
	// giveBackLate are ways to keep what runs when the budget falls.
	giveBackLate = map[Code]bool{
		ScaleDownTolerance: true, ToleranceDropped: true, Stabilization: true, ScaleDownBrake: true, PausedScaleIn: true,
	}
	// twoMinds are ways to have two writers of one number, who undo each other.
	twoMinds = map[Code]bool{SecondHPA: true, SecondScaledObject: true}
	// allTheSame are wrong whether there is a gate or not.
	allTheSame = map[Code]bool{CachedMetrics: true, CeilingAlone: true, CeilingUnused: true, TargetInFormula: true, FormulaRefused: true, JobPush: true}
	// goodToKnow are no way past anything by themselves.
	goodToKnow = map[Code]bool{PausedScaleOut: true, HPAOwnership: true}
)

// Held reports whether Headroom keeps the fleet to what the databases carry: in mode
// Target where nothing is in the way, in mode Gate where the pods wait, as far as
// can be seen.
func Held(in Input) bool {
	if in.Workload == nil {
		return false
	}
	switch in.Workload.Mode {
	case policy.Target:
		return in.scaled() && !slices.ContainsFunc(Find(in), func(f Finding) bool { return f.Severity == policy.SeverityError })
	case policy.Gate:
		return Waits(in)
	case policy.Observe:
	}
	return false
}

// Waits reports whether the fleet's pods wait at the gate in mode Gate, as far as can
// be seen: then those of a rollout's surge wait, too.
func Waits(in Input) bool {
	if in.Workload == nil || in.Workload.Mode != policy.Gate {
		return false
	}
	f := finder{Input: in}
	return f.gate(policy.Gate)
}

// behindTheGate says of every way past a target what is left of it where the pods
// wait at the gate.
func (f *finder) behindTheGate(ways []Finding) []Finding {
	var left []Finding
	for _, way := range ways {
		switch {
		case allTheSame[way.Code]:
		case goodToKnow[way.Code]:
			way.Severity = policy.SeverityNote
		case twoMinds[way.Code]:
			way.Severity = policy.SeverityWarning
			way.Sentence += "; the gate holds the connections, but pods come and go as the two undo each other"
		case asksForMore[way.Code]:
			way.Severity = policy.SeverityNote
			way.Sentence += "; the pods that the databases don't carry wait at the gate"
			if f.rolls() {
				way.Sentence += ", and while they do a rollout moves by swaps alone"
			}
		case giveBackLate[way.Code] && !f.Workload.Shedding.Enabled:
			way.Severity = policy.SeverityNote
			way.Sentence += "; the gate takes nothing back from pods that run, and shedding is not enabled"
		default:
			continue
		}
		left = append(left, way)
	}
	return left
}

// rolls reports whether a new version's pods come while old ones run.
func (in Input) rolls() bool {
	return in.Rollout != nil || (in.Deployment != nil && in.Deployment.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType)
}

func errorsOnly(ways []Finding) []Finding {
	return slices.DeleteFunc(slices.Clone(ways), func(way Finding) bool { return way.Severity != policy.SeverityError })
}
