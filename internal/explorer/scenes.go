package explorer

import "github.com/keda-headroom/headroom/policy"

// gated is a policy of mode Gate for both workloads.
func gated(a, b int) Edition {
	return Edition{PerPod: [workloads]int{a, b}, Mode: [workloads]policy.Mode{policy.Gate, policy.Gate}}
}

// always are the moves of which every scene has as many as it likes.
func always(more map[Kind]int) map[Kind]int {
	moves := map[Kind]int{Act: -1, ActNew: -1, Read: -1, Land: -1, Open: -1, End: -1, Close: -1, Settle: -1, Learn: -1, Ready: 0}
	for k, n := range more {
		moves[k] = n
	}
	return moves
}

// Scenes returns the scenes that are explored: small is for every run of the
// tests.
func Scenes(small bool) []Scene {
	deep := func(few, many int) int {
		if small {
			return few
		}
		return many
	}
	scene := func(name, about string, pods []Seed, more map[Kind]int) Scene {
		return Scene{Name: name, About: about, Limit: 4, Reserve: 1, Others: 1, Editions: []Edition{gated(1, 2)}, Pods: pods, Moves: always(more),
			Behind: deep(2, 3), Flying: deep(4, 6), Depth: deep(12, 40), States: deep(400_000, 3_000_000)}
	}
	// Two connections are for workers, pods of a need one and those of b two.
	three := []Seed{{Workload: 0}, {Workload: 0}, {Workload: 1}}
	return []Scene{
		scene("takeover", "leaders that lapse, crash and come back while their writes are late", three,
			map[Kind]int{Acquire: deep(1, 2), Crash: 1}),
		scene("ghosts", "pods that are deleted, by force or with connections left, and pods that take their place",
			[]Seed{{Workload: 0, Running: 1, Fenced: true}, {Workload: 0, Fenced: true}, {Workload: 1, Fenced: true}, {Workload: 0, Absent: true}},
			map[Kind]int{Delete: 2, Force: 1, EndOpen: 1, Create: 1, Ready: 1}),
	}
}
