package explorer

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Walks is what random walks came to.
type Walks struct {
	Scene      string
	Seed       uint64 // of the first walk; each next has the next
	Count      int
	Moves      int
	Admissions int
	Took       time.Duration
	// Broken is what was broken, "" if nothing; Path is as short as it could be made.
	Broken string
	Path   []Move
}

// Walk takes count random walks of up to length moves, far longer than a search
// gets, and after each lets everything calm down and looks whether what is free is
// used. Every kind of move that a scene has at all may be made as often as it can.
func Walk(scene Scene, first uint64, count, length int) Walks {
	began := time.Now()
	w := newWorld(&scene)
	w.loosen()
	out := Walks{Scene: scene.Name, Seed: first, Count: count}
	var next atomic.Uint64
	var moves, admissions atomic.Int64
	var broken atomic.Pointer[Walks]
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := next.Add(1) - 1; i < uint64(count) && broken.Load() == nil; i = next.Add(1) - 1 {
				path, passed, problem := w.walk(rand.New(rand.NewPCG(first+i, 7)), length)
				moves.Add(int64(len(path)))
				admissions.Add(int64(passed))
				if problem != "" {
					path, problem = w.shrink(path, problem)
					broken.CompareAndSwap(nil, &Walks{Broken: problem, Path: path})
				}
			}
		})
	}
	wait.Wait()
	out.Moves, out.Admissions, out.Took = int(moves.Load()), int(admissions.Load()), time.Since(began)
	if b := broken.Load(); b != nil {
		out.Broken, out.Path = b.Broken, b.Path
	}
	return out
}

// loosen lifts the bounds on how often something may happen, as far as it may at
// all.
func (w *world) loosen() {
	for k := range w.budget {
		if w.budget[k] > 0 {
			w.budget[k] = 4
		}
	}
}

func (w *world) walk(r *rand.Rand, length int) (path []Move, passed int, problem string) {
	s := w.start()
	var possible, kind []Move
	for len(path) < length && problem == "" {
		possible = w.moves(s, possible[:0])
		if len(possible) == 0 {
			break
		}
		// The kind first, so that what can be done in many ways is not done most.
		chosen := possible[r.IntN(len(possible))].Kind
		if r.IntN(2) == 0 {
			chosen = Kind(r.IntN(int(moveKinds)))
		}
		kind = kind[:0]
		for _, m := range possible {
			if m.Kind == chosen {
				kind = append(kind, m)
			}
		}
		if len(kind) == 0 {
			continue
		}
		m := kind[r.IntN(len(kind))]
		next, broken := w.play(s, m)
		if next == nil {
			continue
		}
		if m.Kind == Land && s.pods[m.Pod].gated && !next.pods[m.Pod].gated {
			passed++
		}
		w.tidy(next)
		path, s, problem = append(path, m), next, broken
	}
	if problem == "" {
		problem = w.calm(s)
	}
	return path, passed, problem
}

// follow plays those moves of a path that can be made, and returns them, and what
// was broken.
func (w *world) follow(path []Move) ([]Move, string) {
	s := w.start()
	var made []Move
	for _, m := range path {
		next, problem, err := w.step(s, m)
		if err != nil {
			continue
		}
		made, s = append(made, m), next
		if problem != "" {
			return made, problem
		}
	}
	return made, w.calm(s)
}

// shrink leaves out every move that is not needed to break something.
func (w *world) shrink(path []Move, problem string) ([]Move, string) {
	for again := true; again; {
		again = false
		for n := max(1, len(path)/2); n >= 1; n /= 2 {
			for i := len(path) - n; i >= 0; i-- {
				less := slices.Concat(path[:i], path[min(i+n, len(path)):])
				if made, broken := w.follow(less); broken != "" && len(made) < len(path) {
					path, problem, again = made, broken, true
					i = min(i, len(path)-n+1)
				}
			}
		}
	}
	return path, problem
}

// String says it in one line.
func (w Walks) String() string {
	out := fmt.Sprintf("%-12s %d walks from seed %d, %d moves, %d admissions checked, in %s", w.Scene, w.Count, w.Seed, w.Moves, w.Admissions, w.Took.Round(10*time.Millisecond))
	if w.Broken != "" {
		out += ": BROKEN: " + w.Broken
	}
	return out
}
