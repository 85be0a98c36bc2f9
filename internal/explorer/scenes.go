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
			Behind: 3, Flying: deep(4, 6), Depth: 40, States: deep(12_000, 3_000_000)}
	}
	// Two connections are for workers; pods of a need one, and those of b two.
	waiting := []Seed{{}, {}, {Workload: 1}}
	fenced := []Seed{{Fenced: true}, {Fenced: true}, {Workload: 1, Fenced: true}}
	running := []Seed{{Running: 1, Fenced: true}, {Fenced: true}, {Workload: 1, Fenced: true}, {Absent: true}}

	takeover := scene("takeover", "leaders that lapse, crash and come back while their writes are late", waiting,
		map[Kind]int{Acquire: 2, Crash: 1})
	late := scene("late", "patches that land in a later term, beside pods that appear", append(fenced, Seed{Absent: true}),
		map[Kind]int{Acquire: 1, Create: 1, Delete: 1})
	// The second workload comes first in the second edition, so that another leader
	// has other pods in mind.
	turned := gated(1, 2)
	turned.Priority[1] = 10
	for _, s := range []*Scene{&takeover, &late} {
		s.Editions = append(s.Editions, turned)
		s.Moves[Edit] = 1
	}
	ghosts := scene("ghosts", "pods that are deleted, by force or with connections left, and pods that take their place", running,
		map[Kind]int{Delete: 2, Force: 1, EndOpen: 1, Create: 1, Ready: 2})
	restart := scene("restart", "containers that restart and hold two pools, before and after another leader", running,
		map[Kind]int{Restart: 1, Acquire: 1, Delete: 1, Ready: 1})
	restart.Limit = 5
	edit := scene("edit", "another number of connections per pod, which leaders learn late", fenced, map[Kind]int{Edit: 2, Acquire: 1})
	edit.Editions = []Edition{gated(2, 1), gated(1, 2), gated(1, 1)}
	modes := scene("modes", "a workload that goes to Observe, where everybody passes, and back", fenced, map[Kind]int{Edit: 2, Acquire: 1})
	modes.Editions = []Edition{gated(1, 2), {PerPod: [workloads]int{1, 2}, Mode: [workloads]policy.Mode{policy.Observe, policy.Gate}}, gated(1, 2)}
	spike := scene("spike", "others that come and go, and are remembered by leaders to come", fenced, map[Kind]int{Spike: 1, Calm: 1, Jump: 2, Acquire: 1})
	spike.Spike = 2
	stale := scene("stale", "readings that grow too old, when pods are replaced one for one", running, map[Kind]int{Jump: 2, Delete: 2, Create: 1, Acquire: 1})
	names := scene("names", "one server by two names", fenced, map[Kind]int{Acquire: 1, Crash: 1})
	names.TwoNames = true
	login := scene("login", "a monitor that can't tell pods apart", running, map[Kind]int{Delete: 1, Force: 1, EndOpen: 1, Create: 1, Ready: 2})
	login.ByLogin = true
	gates := scene("gates", "a pod that somebody else holds back, too", []Seed{{Fenced: true, OtherGates: true}, {Fenced: true}, {Workload: 1, Fenced: true}},
		map[Kind]int{Acquire: 1, Open: -1})
	shed := scene("shed", "running pods that are given up for others", []Seed{{Running: 1, Fenced: true}, {Running: 1, Fenced: true}, {Workload: 1, Fenced: true}, {Absent: true}},
		map[Kind]int{Spike: 1, Calm: 1, Create: 1, Ready: 0, Acquire: 1})
	shed.Spike, shed.Editions[0].Shedding = 2, true
	large := scene("large", "a large pod that waits for what is leaving, and small ones behind it",
		[]Seed{{Running: 2, Fenced: true}, {Fenced: true}, {Workload: 1, Running: 1, Fenced: true}, {Workload: 1, Fenced: true}},
		map[Kind]int{Delete: 1, EndOpen: 1, Acquire: 1})
	large.Limit, large.Editions = 6, []Edition{gated(2, 1)}
	large.Editions[0].Priority[0] = 10
	all := scene("everything", "every kind of move", append(running, Seed{Workload: 1, Absent: true})[:maxPods], nil)
	for k := range moveKinds {
		if _, ok := all.Moves[k]; !ok || k == Ready {
			all.Moves[k] = 1
		}
	}
	all.Spike, all.Editions = 2, []Edition{gated(1, 2), gated(2, 1)}
	return []Scene{takeover, late, ghosts, restart, edit, modes, spike, stale, names, login, gates, shed, large, all}
}
