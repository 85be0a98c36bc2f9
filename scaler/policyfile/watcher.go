package policyfile

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/policy"
)

// DefaultInterval is how often files are read.
const DefaultInterval = 500 * time.Millisecond

// Options say which policies are kept in force. Paths are required.
type Options struct {
	// Paths are files, and directories whose YAML and JSON files are policies.
	Paths []string
	// Interval is how often they are read, 0 for the default.
	Interval time.Duration
	// Loaded is told of every change, from the goroutine of Load and Run.
	Loaded func(Result)
	// Log gets each problem once for every change; nil logs nothing.
	Log *slog.Logger
}

// Result is what one change of the files led to.
type Result struct {
	// Set is the policy in force, and InForce whether there is any: not where
	// nothing was ever right.
	Set     policy.Set
	InForce bool
	// Valid is false where something of what was read did not take effect.
	Valid bool
	// Documents are all documents, each name once.
	Documents []Document
	// Problems are everything that is wrong, warnings too.
	Problems []policy.Problem
}

// Document is one policy document, or a file in which none could be found: its
// Name is then that of the file.
type Document struct {
	Namespace, Name string
	// Valid is whether its newest version is in force.
	Valid bool
}

// Watcher keeps the policies in files in force. Make one with [New], Load once,
// then Run it.
type Watcher struct {
	options Options

	seen   list // what was read last
	judged list // what was judged last

	good    map[string][]policy.Document // last good version, by path
	set     policy.Set
	inForce bool
	// agreed is whether the documents of set did not contradict each other.
	agreed bool
}

// New returns a watcher that has read nothing yet.
func New(options Options) *Watcher {
	if options.Interval <= 0 {
		options.Interval = DefaultInterval
	}
	if options.Loaded == nil {
		options.Loaded = func(Result) {}
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	return &Watcher{options: options, good: map[string][]policy.Document{}}
}

// Load reads and judges the files as they are.
func (w *Watcher) Load() Result {
	w.seen = read(w.options.Paths)
	return w.judge(w.seen)
}

// Run reads the files again and again until ctx ends, and judges what changed.
func (w *Watcher) Run(ctx context.Context) {
	due := time.NewTicker(w.options.Interval)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-due.C:
		}
		before := w.seen
		w.seen = read(w.options.Paths)
		if w.seen.same(before) && !w.seen.same(w.judged) {
			w.judge(w.seen)
		}
	}
}

// verdict is what is to be in force of one file.
type verdict struct {
	path      string
	documents []policy.Document
	newest    bool // rather than an earlier version, or a part
}

// judge makes what is right of found the policy in force, and tells what came of
// it.
func (w *Watcher) judge(found list) Result {
	w.judged = found
	good := w.kept(found)
	verdicts, problems := judgeFiles(found, good)
	var documents []policy.Document
	for _, v := range verdicts {
		documents = append(documents, v.documents...)
	}
	set, contradictions := policy.Resolve(documents)
	problems = append(problems, contradictions...)

	agreed := !policy.HasErrors(contradictions)
	if agreed {
		w.good = good
	}
	anything := len(documents) > 0 || !policy.HasErrors(problems)
	if anything && (agreed || !w.agreed) {
		w.set, w.inForce, w.agreed = set, true, agreed
	}
	result := Result{
		Set: w.set, InForce: w.inForce, Valid: !policy.HasErrors(problems),
		Documents: name(verdicts, contradictions), Problems: problems,
	}
	w.log(result)
	w.options.Loaded(result)
	return result
}

// judgeFiles parses every file. The last good versions are good's, by path; it
// takes over those that are good now.
func judgeFiles(found list, good map[string][]policy.Document) (verdicts []verdict, problems []policy.Problem) {
	for _, m := range found.missing {
		problems = append(problems, unread(m.path, m.err))
	}
	judged := map[string]bool{}
	for _, f := range found.files {
		judged[f.path] = true
		v := verdict{path: f.path}
		var wrong []policy.Problem
		if f.err != nil {
			wrong = []policy.Problem{unread(f.path, f.err)}
		} else {
			v.documents, wrong = policy.Parse(policy.Source{Where: f.path}, f.content)
		}
		problems = append(problems, wrong...)
		if v.newest = !policy.HasErrors(wrong); v.newest {
			good[f.path] = v.documents
		} else if last, ok := good[f.path]; ok {
			v.documents = last
		}
		verdicts = append(verdicts, v)
	}
	for path, documents := range good {
		if !judged[path] {
			verdicts = append(verdicts, verdict{path: path, documents: documents})
		}
	}
	slices.SortFunc(verdicts, func(a, b verdict) int { return strings.Compare(a.path, b.path) })
	return verdicts, problems
}

// name returns the documents by name, and whether each one's newest version is in
// force. A file without documents that has errors is named itself.
func name(verdicts []verdict, contradictions []policy.Problem) []Document {
	contradicts := map[string]bool{} // by path
	for _, p := range contradictions {
		if p.Severity == policy.SeverityError {
			contradicts[p.Where] = true
		}
	}
	valid := map[Document]bool{}
	note := func(d Document, is bool) {
		before, ok := valid[d]
		valid[d] = is && (before || !ok)
	}
	for _, v := range verdicts {
		if len(v.documents) == 0 && !v.newest {
			note(Document{Name: filepath.Base(v.path)}, false)
		}
		for _, d := range v.documents {
			note(Document{Namespace: d.Source.Namespace, Name: cmp.Or(d.Source.Name, filepath.Base(v.path))}, v.newest && !contradicts[v.path])
		}
	}
	var out []Document
	for d, is := range valid {
		d.Valid = is
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Document) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return out
}

// kept returns the last good versions of the files that are still there, or of
// which it is not known whether they are.
func (w *Watcher) kept(found list) map[string][]policy.Document {
	good := maps.Clone(w.good)
	maps.DeleteFunc(good, func(path string, _ []policy.Document) bool {
		for _, f := range found.files {
			if f.path == path {
				return false
			}
		}
		for _, m := range found.missing {
			if m.path == path || strings.HasPrefix(path, m.path+string(filepath.Separator)) {
				return false
			}
		}
		return true
	})
	return good
}

func unread(path string, err error) policy.Problem {
	return policy.Problem{
		Severity: policy.SeverityError, Code: CodeUnreadable, Where: path,
		Rule: "expected a file or a directory that can be read: " + err.Error(),
	}
}

// CodeUnreadable is the code of a file that can't be read.
const CodeUnreadable policy.Code = "Unreadable"

func (w *Watcher) log(r Result) {
	for _, p := range r.Problems {
		level := slog.LevelError
		if p.Severity == policy.SeverityWarning {
			level = slog.LevelWarn
		}
		w.options.Log.Log(context.Background(), level, "policy problem", "problem", p.String(), "code", string(p.Code))
	}
	size := []any{"databases", len(r.Set.Databases), "workloads", len(r.Set.Workloads)}
	switch {
	case r.Valid:
		w.options.Log.Info("policy in force", size...)
	case r.InForce:
		w.options.Log.Warn("policy in force without what is wrong: where a last good version exists, it stays", size...)
	default:
		w.options.Log.Error("no policy in force: nothing that was read is right")
	}
}
