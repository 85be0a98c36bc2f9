package explorer

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Found is what a search came to.
type Found struct {
	Scene  string
	States int // looked at, each once
	Moves  int // tried
	// Depth is how many moves the longest path had that was tried to its end;
	// Whole is whether no longer one is possible within the scene's bounds.
	Depth int
	Whole bool
	// Admissions counts the moves that let a pod pass, each checked.
	Admissions int
	Took       time.Duration
	// Broken is what was broken, "" if nothing, and Path the moves that led there.
	Broken string
	Path   []Move
}

// String says it in one line.
func (f Found) String() string {
	bounds := fmt.Sprintf("every path of up to %d moves", f.Depth)
	if f.Whole {
		bounds = fmt.Sprintf("every path within the bounds, the longest of %d moves", f.Depth)
	}
	out := fmt.Sprintf("%-12s %8d states, %9d moves, %7d admissions checked: %s, in %s", f.Scene, f.States, f.Moves, f.Admissions, bounds, f.Took.Round(10*time.Millisecond))
	if f.Broken != "" {
		out += ": BROKEN after " + fmt.Sprint(len(f.Path)) + " moves: " + f.Broken
	}
	return out
}

// node is how a state was reached.
type node struct {
	parent *node
	move   Move
}

func (n *node) path() []Move {
	var out []Move
	for ; n.parent != nil; n = n.parent {
		out = append(out, n.move)
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

type reached struct {
	state *state
	node  *node
}

const shards = 64

// seen is the set of states that were reached, by their hash.
type seen [shards]struct {
	sync.Mutex
	hashes map[uint64]struct{}
}

func (s *seen) add(h uint64) bool {
	shard := &s[h%shards]
	shard.Lock()
	defer shard.Unlock()
	if _, ok := shard.hashes[h]; ok {
		return false
	}
	if shard.hashes == nil {
		shard.hashes = map[uint64]struct{}{}
	}
	shard.hashes[h] = struct{}{}
	return true
}

// Search tries everything that can happen in a scene, the shortest paths first,
// until something is broken or a bound is reached.
func Search(scene Scene) Found {
	began := time.Now()
	w := newWorld(&scene)
	found := Found{Scene: scene.Name}
	start := w.start()
	var known seen
	known.add(new(scribe).hash(w, start))
	level := []reached{{start, &node{}}}
	found.States = 1
	var moves, admissions, states atomic.Int64
	states.Store(1)
	for len(level) > 0 && found.Depth < scene.Depth {
		var next [][]reached
		var mutex sync.Mutex
		var broken atomic.Pointer[Found]
		var at atomic.Int64
		var wait sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			wait.Go(func() {
				var mine []reached
				var scribe scribe
				var possible []Move
				for {
					const chunk = 64
					from := int(at.Add(chunk)) - chunk
					if from >= len(level) || broken.Load() != nil || states.Load() > int64(scene.States) {
						break
					}
					for _, r := range level[from:min(from+chunk, len(level))] {
						possible = w.moves(r.state, possible[:0])
						for _, m := range possible {
							moves.Add(1)
							s, problem := w.play(r.state, m)
							if s == nil {
								continue
							}
							if m.Kind == Land && !s.pods[m.Pod].gated && r.state.pods[m.Pod].gated {
								admissions.Add(1)
							}
							n := &node{r.node, m}
							if problem != "" {
								broken.CompareAndSwap(nil, &Found{Broken: problem, Path: n.path()})
								break
							}
							w.tidy(s)
							if known.add(scribe.hash(w, s)) {
								mine = append(mine, reached{s, n})
								states.Add(1)
							}
						}
					}
				}
				mutex.Lock()
				next = append(next, mine)
				mutex.Unlock()
			})
		}
		wait.Wait()
		found.States, found.Moves, found.Admissions = int(states.Load()), int(moves.Load()), int(admissions.Load())
		found.Took = time.Since(began)
		if b := broken.Load(); b != nil {
			found.Broken, found.Path = b.Broken, b.Path
			return found
		}
		if states.Load() > int64(scene.States) {
			return found // the level was not finished
		}
		level = level[:0:0]
		for _, part := range next {
			level = append(level, part...)
		}
		if len(level) == 0 {
			found.Whole = true
			break
		}
		found.Depth++
	}
	return found
}

// tidy drops what can make no difference any more.
func (w *world) tidy(s *state) {
	for i := len(s.network) - 1; i >= 0; i-- {
		if w.dead(s, s.network[i]) {
			s.drop(i)
		}
	}
	for l := range s.leaders {
		if p := &s.leaders[l]; p.term > 0 && int(s.holder) != l && !w.haunted {
			*p = leader{edition: p.edition} // it can't send anything any more
		}
	}
	if w.budget[Acquire] >= 0 && int8(s.spent[Acquire]) >= w.budget[Acquire] {
		behind := int(s.leaders[s.holder].behind)
		s.events = s.events[len(s.events)-behind:]
	}
}
