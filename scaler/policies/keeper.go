package policies

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// Options of a [Keeper]. The zero Options keep quiet, and drop what is deleted.
type Options struct {
	// Loaded is told of every result. It must not call the keeper.
	Loaded func(Result)
	// OptedOut reports whether nothing asks for a workload any more that was
	// governed: its ScaledObject or ScaledJob has no trigger that names it, or is
	// gone. What can't be known is not opted out. Where it is nil nobody can
	// know, and a deleted policy's workloads are dropped at once. It must not
	// call the keeper.
	OptedOut func(w policy.Workload) bool
	// Leaves returns a workload that nobody governs any more, as its pods are found
	// from now on, and whether any of them still waits at the gate, or may come to.
	// What others have, which are governed, is not its own. Where it is nil nobody
	// waits. It must not call the keeper.
	Leaves func(w policy.Workload, others []policy.Workload) (policy.Workload, bool)
	// Log gets each problem once while it lasts; nil logs nothing.
	Log *slog.Logger
}

// Keeper keeps the policies of all its origins in force. Make one with
// [NewKeeper], add every origin, then let those report. Its methods may be
// called at any time from anywhere.
type Keeper struct {
	options Options

	mu       sync.Mutex
	origins  []*Origin
	newest   map[address]version // what was parsed last
	good     map[address]version // last good versions
	gone     map[address]version // of inputs that were taken back, while they matter
	set      policy.Set
	inForce  bool
	frozen   map[metrics.ID]bool
	owners   map[metrics.ID]string // where workloads of set were described last
	last     Result
	remarked map[string]bool
}

// Origin is where inputs come from.
type Origin struct {
	keeper   *Keeper
	name     string
	together bool

	reported bool
	found    Found
	// agreed are the versions that were last without contradiction among each
	// other; nil before the first. Only where the origin is together.
	agreed map[address]version
}

// NewKeeper returns a keeper without origins.
func NewKeeper(options Options) *Keeper {
	if options.Loaded == nil {
		options.Loaded = func(Result) {}
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	return &Keeper{
		options: options,
		newest:  map[address]version{}, good: map[address]version{}, gone: map[address]version{},
		frozen: map[metrics.ID]bool{}, owners: map[metrics.ID]string{}, remarked: map[string]bool{},
	}
}

// Origin adds an origin. Nothing is in force before each origin has reported.
// The inputs of one that is together have no age, and are one person's work.
func (k *Keeper) Origin(name string, together bool) *Origin {
	k.mu.Lock()
	defer k.mu.Unlock()
	o := &Origin{keeper: k, name: name, together: together}
	k.origins = append(k.origins, o)
	return o
}

// Restore gives the keeper the last good versions that were kept over a restart.
// What of them is not found any more was deleted meanwhile. It is called before
// any origin reports.
func (k *Keeper) Restore(kept []Kept) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []policy.Document
	for _, old := range kept {
		v := parse(old.Source, old.Content)
		if v.good() {
			k.good[address{old.Origin, old.Key}] = v
			all = append(all, v.documents...)
			k.own(v)
		}
	}
	k.set, _ = policy.Resolve(all)
}

// Found replaces what the origin found before, and judges everything.
func (o *Origin) Found(found Found) Result {
	o.keeper.mu.Lock()
	defer o.keeper.mu.Unlock()
	o.found, o.reported = found, true
	for _, other := range o.keeper.origins {
		if !other.reported {
			return Result{}
		}
	}
	return o.keeper.judge()
}

// Recheck asks whether frozen workloads were opted out meanwhile, and judges
// everything anew if one was. Call it when ScaledObjects changed.
func (k *Keeper) Recheck() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.set.Workloads {
		if !k.frozen[w.ID] {
			continue
		}
		over := false
		if w.Mode == policy.Observe {
			_, more := k.leaves(w, k.set.Workloads)
			over = !more
		} else {
			over = k.options.OptedOut(w)
		}
		if over {
			k.judge()
			return
		}
	}
}

// leaves asks for what a workload leaves behind, beside those of all that are
// governed.
func (k *Keeper) leaves(w policy.Workload, all []policy.Workload) (policy.Workload, bool) {
	if k.options.Leaves == nil {
		return w, false
	}
	return k.options.Leaves(w, slices.DeleteFunc(slices.Clone(all), func(o policy.Workload) bool { return k.frozen[o.ID] || o.ID == w.ID }))
}

// log says what is wrong, once while it lasts, and what is in force.
func (k *Keeper) log(r Result) {
	remarked := map[string]bool{}
	for _, p := range r.Problems {
		text := p.String()
		remarked[text] = true
		if k.remarked[text] {
			continue
		}
		level := slog.LevelError
		if p.Severity == policy.SeverityWarning {
			level = slog.LevelWarn
		}
		k.options.Log.Log(context.Background(), level, "policy problem", "problem", text, "code", string(p.Code))
	}
	k.remarked = remarked
	size := []any{"databases", len(r.Set.Databases), "workloads", len(r.Set.Workloads)}
	if len(r.Frozen) > 0 {
		size = append(size, "frozen", len(r.Frozen))
	}
	if n := r.stopped(); n > 0 {
		size = append(size, "stopped", n)
	}
	switch {
	case r.Valid:
		k.options.Log.Info("policy in force", size...)
	case r.InForce:
		k.options.Log.Warn("policy in force without what is wrong: where a last good version exists, it stays", size...)
	default:
		k.options.Log.Error("no policy in force: nothing that was read is right")
	}
}

// own notes where the workloads of a version are described.
func (k *Keeper) own(v version) {
	for _, id := range v.workloads {
		k.owners[id] = v.source.Where
	}
}

// lastGood returns the last good versions of the origin's inputs that are still
// there, or of which it is not known whether they are.
func (o *Origin) lastGood() map[address]version {
	there := make(map[string]bool, len(o.found.Inputs))
	for _, in := range o.found.Inputs {
		there[in.Key] = true
	}
	out := maps.Clone(o.keeper.good)
	maps.DeleteFunc(out, func(at address, _ version) bool {
		if at.origin != o.name {
			return true
		}
		for _, u := range o.found.Unread {
			if u.Covers(at.key) {
				return false
			}
		}
		return !there[at.key]
	})
	return out
}
