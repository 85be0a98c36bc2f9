package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/metrics"
)

// Resolve puts documents together into the set that is in force, and says what
// is wrong between them. The order of documents does not matter.
//
// Of two documents that claim the same database, workload or ScaledObject the
// oldest is in force ([Source].CreatedAt, then namespace and name, then where
// they stand) and the other contributes nothing: that is the only error. A
// workload that refers to a database which no document describes, or which does
// not admit it, stays in the set with a [Refusal], and is a warning.
func Resolve(documents []Document) (Set, []Problem) {
	byAge := slices.Clone(documents)
	slices.SortStableFunc(byAge, docCompare)

	claims := docClaims{}
	var problems []Problem
	var inForce []Document
	for _, document := range byAge {
		conflicts := claims.conflicts(document)
		problems = append(problems, conflicts...)
		if len(conflicts) == 0 {
			claims.claim(document)
			inForce = append(inForce, document)
		}
	}

	r := docResolver{databases: map[metrics.ID]Database{}}
	for _, document := range inForce {
		r.addDatabases(document)
	}
	for _, document := range inForce {
		r.addWorkloads(document)
	}
	slices.SortFunc(r.set.Databases, func(a, b Database) int { return a.ID.Compare(b.ID) })
	slices.SortFunc(r.set.Workloads, func(a, b Workload) int { return a.ID.Compare(b.ID) })
	problems = append(problems, r.problems...)
	problems = append(problems, r.indistinguishable()...)
	problems = append(problems, overlapping(inForce)...)
	docSort(problems)
	return r.set, problems
}

// docResolver collects what the documents in force say.
type docResolver struct {
	set       Set
	databases map[metrics.ID]Database
	uses      []docUse
	problems  []Problem
}

// docUse is a use and where it is written.
type docUse struct {
	Use
	workload metrics.ID
	document Document
	path     string
}

func (r *docResolver) addDatabases(document Document) {
	for _, d := range document.policy.Databases {
		database := Database{
			ID:                metrics.ID{Namespace: document.Source.Namespace, Name: d.Name},
			Reserve:           d.Reserve,
			OthersWindow:      d.OthersWindow,
			PollInterval:      d.PollInterval,
			MaxReadingAge:     d.MaxReadingAge,
			AllowedNamespaces: slices.Sorted(slices.Values(d.AllowedNamespaces)),
			MaxPriority:       d.MaxPriority,
		}
		if d.PostgreSQL != nil {
			database.PostgreSQL = &PostgreSQL{DSN: d.PostgreSQL.DSN.resolve()}
		}
		r.databases[database.ID] = database
		r.set.Databases = append(r.set.Databases, database)
	}
}

// resolve says where the data source name is kept.
func (d docDSN) resolve() DSN {
	out := DSN{File: d.File, Env: d.Env}
	if ref := d.SecretKeyRef; ref != nil {
		out.Secret = &SecretKey{Name: ref.Name, Key: ref.Key}
	}
	return out
}

func (r *docResolver) addWorkloads(document Document) {
	for i, w := range document.policy.Workloads {
		path := fmt.Sprintf("workloads[%d]", i)
		workload := Workload{
			ID:                     metrics.ID{Namespace: document.Source.Namespace, Name: w.Name},
			Mode:                   Mode(w.Mode),
			MinReplicas:            w.MinReplicas,
			Priority:               w.Priority,
			ScaleDownStabilization: w.ScaleDownStabilization,
			Shedding:               Shedding(w.Shedding),
			ReadyTimeout:           w.ReadyTimeout,
		}
		if w.MaxReplicas != nil {
			most := *w.MaxReplicas
			workload.MaxReplicas = &most
		}
		if w.ScaledObjectRef != nil {
			workload.ScaledObject = w.ScaledObjectRef.Name
		}
		if w.ScaledJobRef != nil {
			workload.ScaledJob = w.ScaledJobRef.Name
		}
		if w.ScaleTargetRef != nil {
			target := ScaleTarget(*w.ScaleTargetRef)
			workload.ScaleTarget = &target
		}
		if w.PodSelector != nil {
			workload.PodSelector = maps.Clone(w.PodSelector.MatchLabels)
		}
		if q := w.SQS; q != nil && w.PodSelector == nil { // which asks for itself
			workload.SQS = &SQS{
				QueueURL: q.QueueURL, QueueName: q.QueueName, Region: q.Region, Endpoint: q.Endpoint,
				MessagesPerPod: q.MessagesPerPod, IncludeDelayed: q.IncludeDelayed,
				MaxMessageAge: q.MaxMessageAge, SecondsPerMessage: q.SecondsPerMessage,
				PollInterval: q.PollInterval, StaleAfter: q.StaleAfter, ErrorAfter: q.ErrorAfter,
			}
			if q.Concurrency > 1 {
				workload.SQS.Concurrency = q.Concurrency
			}
			if q.IdlePollInterval != q.PollInterval {
				workload.SQS.IdlePollInterval = q.IdlePollInterval
			}
		}
		r.addUses(document, path, w, &workload)
		r.set.Workloads = append(r.set.Workloads, workload)
	}
}

// addUses resolves the references of a workload, and refuses it where one leads
// nowhere or is not admitted.
func (r *docResolver) addUses(document Document, path string, w docWorkload, workload *Workload) {
	for i, ref := range w.DatabaseRefs {
		at := fmt.Sprintf("%s.databaseRefs[%d]", path, i)
		id := metrics.ID{Namespace: ref.Namespace, Name: ref.Name}
		database, ok := r.databases[id]
		switch {
		case !ok:
			r.refuse(document, at, workload, PolicyInvalid, CodeDatabaseMissing,
				fmt.Sprintf("no policy in force describes database %s", id))
			continue
		case !database.admits(workload.ID.Namespace):
			// Nothing that it declares counts on that database: a stranger's
			// numbers must not take its owner's budget. What its pods hold there
			// is seen as others'.
			r.refuse(document, at, workload, Unauthorized, CodeUnauthorized,
				fmt.Sprintf("database %s does not admit namespace %s (allowedNamespaces)", id, workload.ID.Namespace))
			continue
		case workload.Priority > database.MaxPriority:
			r.refuse(document, at, workload, Unauthorized, CodeUnauthorized,
				fmt.Sprintf("priority %d is above %d, the most that database %s admits (maxPriority)", workload.Priority, database.MaxPriority, id))
		}
		use := Use{
			Database: id, User: ref.User, DatabaseName: ref.Database,
			ApplicationName: ref.ApplicationName, ConnectionsPerPod: ref.ConnectionsPerPod,
		}
		workload.Databases = append(workload.Databases, use)
		r.uses = append(r.uses, docUse{Use: use, workload: workload.ID, document: document, path: at})
	}
	slices.SortFunc(workload.Databases, func(a, b Use) int { return a.Database.Compare(b.Database) })
}

// refuse keeps a workload from scaling out. The first reason stands for all; the
// sentence has every one.
func (r *docResolver) refuse(document Document, path string, workload *Workload, reason Reason, code Code, sentence string) {
	if workload.Refusal == nil {
		workload.Refusal = &Refusal{Reason: reason, Sentence: sentence}
	} else {
		workload.Refusal.Sentence += "; " + sentence
	}
	r.problems = append(r.problems, document.problem(SeverityWarning, code, path, "", "refused: "+sentence))
}

// admits reports whether workloads of namespace may use the database.
func (d Database) admits(namespace string) bool {
	return namespace == d.ID.Namespace ||
		slices.Contains(d.AllowedNamespaces, namespace) ||
		slices.Contains(d.AllowedNamespaces, "*")
}

// indistinguishable warns of workloads whose sessions look alike: the same
// user and database, and an application name that begins with the other's. Only
// their pods' addresses tell them apart then.
func (r *docResolver) indistinguishable() []Problem {
	uses := slices.Clone(r.uses)
	slices.SortFunc(uses, func(a, b docUse) int {
		return cmp.Or(
			a.Database.Compare(b.Database),
			strings.Compare(a.User, b.User),
			strings.Compare(a.DatabaseName, b.DatabaseName),
			strings.Compare(a.ApplicationName, b.ApplicationName),
			a.workload.Compare(b.workload),
		)
	})
	var problems []Problem
	var prefixes []docUse // each begins with the one before
	for _, use := range uses {
		covers := func(other docUse) bool {
			return other.Database == use.Database && other.User == use.User &&
				other.DatabaseName == use.DatabaseName && strings.HasPrefix(use.ApplicationName, other.ApplicationName)
		}
		for len(prefixes) > 0 && !covers(prefixes[len(prefixes)-1]) {
			prefixes = prefixes[:len(prefixes)-1]
		}
		if len(prefixes) > 0 {
			other := prefixes[len(prefixes)-1]
			problems = append(problems, use.document.problem(SeverityWarning, CodeIndistinguishable, use.path, "", fmt.Sprintf(
				"database %s sees the sessions of workload %s as those of workload %s (user %q, applicationName %s and %s): only their pods' addresses tell them apart",
				use.Database, use.workload, other.workload, use.User, docNameOr(use.ApplicationName), docNameOr(other.ApplicationName))))
		}
		prefixes = append(prefixes, use)
	}
	return problems
}

// overlapping warns of workloads whose pods all belong to another workload of their
// namespace too, since that selects by fewer of the same labels: such a pod counts
// in both.
func overlapping(documents []Document) []Problem {
	type selected struct {
		workload metrics.ID
		labels   map[string]string
		document Document
		path     string
	}
	var all []selected
	for _, document := range documents {
		for i, w := range document.policy.Workloads {
			if w.PodSelector != nil {
				id := metrics.ID{Namespace: document.Source.Namespace, Name: w.Name}
				all = append(all, selected{id, w.PodSelector.MatchLabels, document, fmt.Sprintf("workloads[%d].podSelector.matchLabels", i)})
			}
		}
	}
	var problems []Problem
	for _, narrow := range all {
		for _, wide := range all {
			if narrow.workload.Namespace == wide.workload.Namespace && len(wide.labels) < len(narrow.labels) && within(narrow.labels, wide.labels) {
				problems = append(problems, narrow.document.problem(SeverityWarning, CodeIndistinguishable, narrow.path, "", fmt.Sprintf(
					"every pod of workload %s is one of workload %s too, which selects by fewer of its labels: it counts in both", narrow.workload, wide.workload)))
			}
		}
	}
	return problems
}

// within reports whether all of some are in all.
func within(all, some map[string]string) bool {
	for name, value := range some {
		if found, ok := all[name]; !ok || found != value {
			return false
		}
	}
	return true
}

func docNameOr(applicationName string) string {
	if applicationName == "" {
		return "any"
	}
	return docQuote(applicationName)
}

// problem returns one at a place of the document.
func (d Document) problem(severity Severity, code Code, path, value, rule string) Problem {
	at := d.places[path]
	return Problem{
		Severity: severity, Code: code, Where: d.Source.Where, Line: at.line, Column: at.column,
		Field: path, Value: value, Rule: rule,
	}
}
