package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/internal/bypass"
	"github.com/keda-headroom/headroom/internal/databaselimits"
	"github.com/keda-headroom/headroom/internal/inventory"
	"github.com/keda-headroom/headroom/internal/policyfiles"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// judgment collects what is read, and then says what is wrong with it.
type judgment struct {
	report    Report
	policies  []policy.Document
	texts     policyfiles.Texts
	inventory inventory.Inventory
	limits    databaselimits.Limits
	objects   map[bypass.Object]manifest // where they stand, for those from files
	// recognized counts what there was to judge, good or bad.
	recognized int
}

func newJudgment(limits databaselimits.Limits) *judgment {
	return &judgment{
		limits:  limits,
		report:  Report{Findings: []Finding{}, Skipped: []skipped{}, Files: []string{}},
		texts:   policyfiles.Texts{},
		objects: map[bypass.Object]manifest{},
	}
}

// judgeFiles judges everything in the inputs, alone and then together.
func judgeFiles(inputs []input, limits databaselimits.Limits) (Report, error) {
	j := newJudgment(limits)
	var manifests []manifest
	for _, in := range inputs {
		j.report.Files = append(j.report.Files, in.name)
		if in.err != nil {
			j.report.Findings = append(j.report.Findings, in.finding())
			j.recognized++
			continue
		}
		texts, objects := policyfiles.Take(in.name, in.namespace, in.content)
		for _, text := range texts {
			j.policy(text)
		}
		for _, object := range objects {
			if !judged(object.APIVersion, object.Kind) {
				j.report.Skipped = append(j.report.Skipped, skip(in.name, object))
				continue
			}
			m := manifest{file: in.name, namespace: in.namespace, Object: object}
			manifests = append(manifests, m)
			j.manifest(m)
		}
	}
	if err := j.together(); err != nil {
		return Report{}, err
	}
	if j.recognized == 0 {
		j.report.Findings = append(j.report.Findings, nothing(j.report, manifests))
	}
	return j.done(), nil
}

// policy reads the policies of one input.
func (j *judgment) policy(text policyfiles.Text) {
	j.recognized++
	found, problems := j.texts.Add(text)
	j.problems(problems)
	j.policies = append(j.policies, found...)
}

func (j *judgment) problems(problems []policy.Problem) {
	for _, p := range problems {
		in, line, column := j.texts.Place(p)
		object := in.Object
		if in.File == "" && p.Line > 0 {
			object += fmt.Sprintf(", line %d", p.Line) // of a value in a cluster
		}
		j.report.Findings = append(j.report.Findings, Finding{
			File: in.File, Line: line, Column: column, Object: object,
			Severity: p.Severity, Code: p.Code, Field: p.Field, Value: p.Value, Rule: p.Rule,
			namespace: in.Source.Namespace,
		})
	}
}

// together judges what depends on several documents. It fails where a limit was given of
// a database that none describes.
func (j *judgment) together() error {
	j.report.Policies = len(j.policies)
	set, problems := policy.Resolve(j.policies)
	j.problems(problems)
	var databases []metrics.ID
	for _, d := range set.Databases {
		databases = append(databases, d.ID)
	}
	if unused := j.limits.Unused(databases); len(unused) > 0 {
		return InputError{fmt.Errorf("--%s: expected databases of the policies, found %q", databaselimits.Flag, unused)}
	}
	fleets := j.inventory.Fleets(set)
	unscaled := j.inventory.Unscaled(set)
	for _, fleet := range unscaled {
		if fleet.Workload != nil || j.ungoverned(fleet) {
			fleets = append(fleets, fleet)
		}
	}
	for _, fleet := range fleets {
		if fleet.Workload != nil || fleet.ScaledObject != nil || fleet.ScaledJob != nil {
			j.report.Fleets++
		}
		fleet.Ungoverned = j.ungoverned(fleet)
		fleet.Carries = j.carries(fleet.Workload, set)
		j.triggers(fleet, set)
		for _, way := range bypass.Find(fleet) {
			j.way(way)
		}
	}
	j.notAsked(fleets, set)
	return nil
}

// carries is how many replicas of a workload its databases carry while nobody else is on
// them, nil where the limit of none is known.
func (j *judgment) carries(w *policy.Workload, set policy.Set) *int {
	var least *int
	if w == nil {
		return nil
	}
	for _, u := range w.Databases {
		d, described := set.Database(u.Database)
		limit, known := j.limits.Of(u.Database)
		if !described || !known {
			continue // that no policy describes it was said
		}
		n := max(0, limit-d.Reserve.Up(limit)) / u.ConnectionsPerPod
		if least == nil || n < *least {
			least = &n
		}
	}
	return least
}

// ungoverned reports whether no policy governs a fleet, and all are known that
// could: those of a cluster that has any, or of files where there are some of its
// namespace.
func (j *judgment) ungoverned(fleet bypass.Input) bool {
	namespace := inventory.Name(fleet).Namespace
	return fleet.Workload == nil && ((j.inventory.Live && len(j.policies) > 0) || slices.ContainsFunc(j.policies, func(d policy.Document) bool { return d.Source.Namespace == namespace }))
}

// way adds a way past a target.
func (j *judgment) way(f bypass.Finding) {
	j.add(f.Object, f.Field, Finding{Severity: f.Severity, Code: policy.Code(f.Code), Rule: f.Sentence, Remedy: f.Remedy})
}

// add adds a finding about a field of an object.
func (j *judgment) add(object bypass.Object, field string, f Finding) {
	f.Object, f.Field, f.namespace = object.String(), field, object.Namespace
	if m, known := j.objects[object]; known {
		f.File = m.file
		f.Line, f.Column = m.locate(field)
	}
	j.report.Findings = append(j.report.Findings, f)
}

// done sorts and counts.
func (j *judgment) done() Report {
	slices.SortStableFunc(j.report.Findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	for _, f := range j.report.Findings {
		switch f.Severity {
		case policy.SeverityError:
			j.report.Errors++
		case policy.SeverityWarning:
			j.report.Warnings++
		default:
			j.report.Notes++
		}
	}
	return j.report
}
