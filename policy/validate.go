package policy

import (
	"fmt"
	"strings"
	"time"
)

// validate holds the values of one document against each other. That each value
// obeys its own rule was seen when it was decoded; a value that did not is left
// out here, so that one mistake is told once.
func (d *docDecoder) validate(p *docPolicy) {
	_, databases := d.places["databases"]
	_, workloads := d.places["workloads"]
	if !databases && !workloads {
		d.problem(CodeRequired, "", "neither", "expected databases, workloads or both")
	}
	names := docOnce{d: d, what: "database"}
	for i := range p.Databases {
		path := fmt.Sprintf("databases[%d]", i)
		names.add(path+".name", p.Databases[i].Name)
		d.validateDatabase(path, &p.Databases[i])
	}
	names = docOnce{d: d, what: "workload"}
	scaled := docOnce{d: d, what: "ScaledObject"}
	jobs := docOnce{d: d, what: "ScaledJob"}
	targets := docOnce{d: d, what: "scale target"}
	selectors := docOnce{d: d, what: "selector of pods"}
	for i := range p.Workloads {
		path := fmt.Sprintf("workloads[%d]", i)
		w := &p.Workloads[i]
		names.add(path+".name", w.Name)
		if w.ScaledObjectRef != nil {
			scaled.add(path+".scaledObjectRef.name", w.ScaledObjectRef.Name)
		}
		if w.ScaledJobRef != nil {
			jobs.add(path+".scaledJobRef.name", w.ScaledJobRef.Name)
		}
		if ref := w.ScaleTargetRef; ref != nil && ref.Kind != "" && ref.Name != "" && d.right(path+".scaleTargetRef.kind", path+".scaleTargetRef.apiVersion") {
			targets.add(path+".scaleTargetRef.name", ref.kind()+" "+ref.Name)
		}
		if w.PodSelector != nil {
			selectors.add(path+".podSelector.matchLabels", w.PodSelector.labels())
		}
		d.validateWorkload(path, w)
	}
}

func (d *docDecoder) validateDatabase(path string, db *docDatabase) {
	d.atLeast(path, "othersWindow", db.OthersWindow, "pollInterval", db.PollInterval, 1)
	d.atLeast(path, "maxReadingAge", db.MaxReadingAge, "pollInterval", db.PollInterval, 2)
	allowed := docOnce{d: d, what: "namespace"}
	for i, namespace := range db.AllowedNamespaces {
		allowed.add(fmt.Sprintf("%s.allowedNamespaces[%d]", path, i), namespace)
	}
}

func (d *docDecoder) validateWorkload(path string, w *docWorkload) {
	refs := docOnce{d: d, what: "database"}
	for i, ref := range w.DatabaseRefs {
		at := fmt.Sprintf("%s.databaseRefs[%d]", path, i)
		if ref.Name != "" && !d.places[at+".namespace"].wrong {
			refs.add(at+".name", ref.Namespace+"/"+ref.Name)
		}
	}
	if most := w.MaxReplicas; most != nil && d.right(path+".minReplicas", path+".maxReplicas") && w.MinReplicas > *most {
		d.problem(CodeInconsistent, path+".maxReplicas", fmt.Sprint(*most), "expected at least minReplicas (%d)", w.MinReplicas)
	}
	if w.Shedding.Enabled && w.Mode != string(Gate) && d.right(path+".mode") {
		d.warn(CodeIneffective, path+".shedding.enabled", "true", "sheds nothing in mode %s: expected mode Gate", w.Mode)
	}
	if w.Shedding.IgnoreDisruptionBudgets && !w.Shedding.Enabled {
		d.warn(CodeIneffective, path+".shedding.ignoreDisruptionBudgets", "true", "sheds nothing without shedding.enabled: true")
	}
	d.validateScaled(path, w)
	if w.SQS != nil {
		d.validateSQS(path+".sqs", w.SQS)
	}
}

// docNoScale says of kinds of Kubernetes' own that have pods and no scale
// subresource what to give in place of a scaleTargetRef.
var docNoScale = map[string]string{
	"Pod.": "podSelector, which selects pods by their labels", "DaemonSet.apps": "podSelector, with the labels of its pods",
	"Job.batch": "podSelector, with the labels of its pods", "CronJob.batch": "podSelector, with the labels of its Jobs' pods",
	"ScaledObject.keda.sh": "scaledObjectRef", "ScaledJob.keda.sh": "scaledJobRef",
}

// validateScaled holds what says which pods there are against everything that
// only makes sense for some of it.
func (d *docDecoder) validateScaled(path string, w *docWorkload) {
	var given []string
	for _, ref := range []struct {
		key string
		is  bool
	}{
		{"scaledObjectRef", w.ScaledObjectRef != nil}, {"scaledJobRef", w.ScaledJobRef != nil},
		{"scaleTargetRef", w.ScaleTargetRef != nil}, {"podSelector", w.PodSelector != nil},
	} {
		if ref.is {
			given = append(given, ref.key)
		}
	}
	if len(given) > 1 {
		d.problem(CodeInconsistent, path+"."+given[1], strings.Join(given, " and "), "expected at most one of scaledObjectRef, scaledJobRef, scaleTargetRef and podSelector")
		return
	}
	if ref := w.ScaleTargetRef; ref != nil {
		group, _, found := strings.Cut(ref.APIVersion, "/")
		if !found {
			group = ""
		}
		if instead := docNoScale[ref.Kind+"."+group]; instead != "" && d.right(path+".scaleTargetRef.apiVersion") {
			d.problem(CodeInconsistent, path+".scaleTargetRef.kind", docQuote(ref.Kind), "expected a kind with a scale subresource, or %s", instead)
		}
	}
	known := d.right(path + ".mode")
	switch {
	case w.PodSelector != nil && known && w.Mode == string(Target):
		d.problem(CodeInconsistent, path+".mode", w.Mode, "expected mode Observe or Gate for pods by podSelector: nothing scales them, so that nobody could follow a target")
	case w.ScaleTargetRef != nil && known && w.Mode == string(Target):
		d.warn(CodeIneffective, path+".mode", w.Mode, "a target is told to KEDA: expected scaledObjectRef or scaledJobRef with it, or mode Observe or Gate with scaleTargetRef")
	}
	if w.PodSelector == nil {
		return
	}
	if w.Shedding.Enabled {
		d.warn(CodeIneffective, path+".shedding.enabled", "true", "pods by podSelector may have nobody who replaces them: one that is shed may be gone for good")
	}
	if w.SQS != nil {
		d.warn(CodeIneffective, path+".sqs", "", "nothing scales pods by podSelector: each asks for itself, whatever the queue holds")
	}
}

func (d *docDecoder) validateSQS(path string, q *docSQS) {
	d.atLeast(path, "staleAfter", q.StaleAfter, "pollInterval", q.PollInterval, 2)
	if _, given := d.places[path+".idlePollInterval"]; given {
		d.atLeast(path, "idlePollInterval", q.IdlePollInterval, "pollInterval", q.PollInterval, 1)
		d.atLeast(path, "staleAfter", q.StaleAfter, "idlePollInterval", q.IdlePollInterval, 2)
	}
	d.validateObjective(path, q)
	d.atLeast(path, "errorAfter", q.ErrorAfter, "staleAfter", q.StaleAfter, 1)
	if region := docRegionOf(q.QueueURL); q.Region != "" && region != "" && region != q.Region {
		d.problem(CodeInconsistent, path+".region", docQuote(q.Region), "expected %q, as in queueURL, or no region at all", region)
	}
}

// validateObjective holds the objective against what is said of the work.
func (d *docDecoder) validateObjective(path string, q *docSQS) {
	if !d.right(path+".maxMessageAge", path+".secondsPerMessage", path+".concurrency") {
		return
	}
	if q.MaxMessageAge > 0 && q.SecondsPerMessage >= q.MaxMessageAge.Seconds() {
		d.problem(CodeInconsistent, path+".maxMessageAge", docShowDuration(int64(q.MaxMessageAge)),
			"expected more than the %v seconds that the work on a message takes (secondsPerMessage): no message could be done in time", q.SecondsPerMessage)
	}
	if q.MaxMessageAge == 0 && q.SecondsPerMessage > 0 {
		d.warn(CodeIneffective, path+".secondsPerMessage", fmt.Sprint(q.SecondsPerMessage), "changes nothing without maxMessageAge")
	}
	if q.MaxMessageAge == 0 && q.Concurrency > 1 {
		d.warn(CodeIneffective, path+".concurrency", fmt.Sprint(q.Concurrency), "changes nothing without maxMessageAge")
	}
}

// atLeast expects the duration key to be times × the duration other, both fields
// of the object at path. The problem is told at the one that was given.
func (d *docDecoder) atLeast(path, key string, length time.Duration, other string, base time.Duration, times int) {
	if !d.right(path+"."+key, path+"."+other) || length >= time.Duration(times)*base {
		return
	}
	factor := ""
	if times > 1 {
		factor = fmt.Sprintf("%d × ", times)
	}
	at := path + "." + key
	value := docShowDuration(int64(length))
	if _, given := d.places[at]; !given {
		at = path + "." + other
		value = fmt.Sprintf("%s of %s by default", key, value)
		d.problem(CodeInconsistent, at, value, "expected %s to be given, at least %s%s (%s)", key, factor, other, docShowDuration(int64(time.Duration(times)*base)))
		return
	}
	d.problem(CodeInconsistent, at, value, "expected at least %s%s (%s)", factor, other, docShowDuration(int64(time.Duration(times)*base)))
}

// right reports whether none of the values at paths was found wrong.
func (d *docDecoder) right(paths ...string) bool {
	for _, path := range paths {
		if d.places[path].wrong {
			return false
		}
	}
	return true
}

// warn notes a problem that keeps nothing out of force.
func (d *docDecoder) warn(code Code, path, value, rule string, args ...any) {
	at := d.places[path]
	d.problems = append(d.problems, Problem{
		Severity: SeverityWarning, Code: code, Where: d.source.Where, Line: at.line, Column: at.column,
		Field: path, Value: value, Rule: fmt.Sprintf(rule, args...),
	})
}

// docOnce expects every name to be given once.
type docOnce struct {
	d    *docDecoder
	what string
	seen map[string]string // path of the first, by name
}

// add notes the name at path; "" is a name that was not given or not right.
func (o *docOnce) add(path, name string) {
	if name == "" || !o.d.right(path) {
		return
	}
	if first, again := o.seen[name]; again {
		o.d.problem(CodeDuplicate, path, docQuote(name), "expected each %s once (first at %s, line %d)", o.what, first, o.d.places[first].line)
		return
	}
	if o.seen == nil {
		o.seen = map[string]string{}
	}
	o.seen[name] = path
}
