package explorer

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
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
	known.add(w.hash(start, nil))
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
				var buffer []byte
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
							buffer = w.encode(s, buffer[:0])
							if known.add(maphash.Bytes(seed, buffer)) {
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
	if w.budget[Acquire] >= 0 && int8(s.spent[Acquire]) >= w.budget[Acquire] {
		behind := int(s.leaders[s.holder].behind)
		s.events = s.events[len(s.events)-behind:]
	}
}

func (w *world) hash(s *state, buffer []byte) uint64 {
	return maphash.Bytes(seed, w.encode(s, buffer))
}

// encode writes all of a state that can make a difference, times as they lie
// before now.
func (w *world) encode(s *state, out []byte) []byte {
	flag := func(bits ...bool) {
		b := byte(0)
		for i, bit := range bits {
			if bit {
				b |= 1 << i
			}
		}
		out = append(out, b)
	}
	putObject := func(o *object) {
		flag(o.present, o.gated, o.otherGates, o.terminating, o.ready)
		out = append(out, o.version, o.epoch, o.mark, o.fence, o.grant)
	}
	putSample := func(x *sample) {
		if !x.known {
			out = append(out, 0xff)
			return
		}
		out = binary.AppendVarint(append(out, x.others), int64(min(s.now-x.at, int32(longAgo.Milliseconds()))))
		out = append(out, x.conns[:]...)
	}
	for i := range w.scene.Pods {
		p := &s.pods[i]
		flag(p.born, p.double)
		out = append(out, p.conns)
		putObject(&p.object)
	}
	out = append(out, byte(len(s.events)))
	for i := range s.events {
		out = append(out, s.events[i].pod)
		putObject(&s.events[i].before)
	}
	putAccepted := func(past []accepted) {
		out = append(out, byte(len(past)))
		for _, x := range past {
			out = binary.AppendVarint(append(out, x.others), int64((s.now-x.at)/5000))
		}
	}
	for l := range s.leaders {
		p := &s.leaders[l]
		out = append(out, p.term, p.edition)
		if p.term == 0 {
			continue
		}
		flag(p.believes, p.acted)
		out = append(out, p.behind, p.allowed)
		out = append(out, p.carried[:]...)
		putSample(&p.reading)
		putSample(&p.flying)
		out = binary.LittleEndian.AppendUint64(out, p.ledger.hash(w.scene, s.now))
		putAccepted(p.accepted)
	}
	var network uint64 // in no order
	for i := range s.network {
		m := &s.network[i]
		rest := out
		out = binary.LittleEndian.AppendUint64(nil, m.request)
		out = append(out, m.pod, m.term)
		flag(m.basis.promised, m.basis.good)
		out = append(out, m.basis.allowed, m.basis.carried)
		if m.basis.promised {
			out = append(out, m.basis.reading.conns[:]...)
		}
		network += maphash.Bytes(seed, out)
		out = rest
	}
	out = binary.LittleEndian.AppendUint64(out, network)
	out = append(out, s.others, s.edition, s.terms, s.holder)
	out = binary.LittleEndian.AppendUint64(out, s.memory.hash(w.scene, s.now))
	putAccepted(s.recalled)
	return append(out, s.spent[:]...)
}
