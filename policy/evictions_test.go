package policy

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/keda-headroom/headroom/metrics"
)

// TestNothingIsDoneWithoutATerm: who does not lead lets nobody through, writes on no
// pod and takes none away.
func TestNothingIsDoneWithoutATerm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := drawPast(t, 3)
		u.snapshot.Epoch = ""
		plan, _ := Decide(u.now, u.group, u.snapshot, u.ledger)
		for _, w := range plan.Workloads {
			if n := len(w.Admissions) + len(w.Stamps) + len(w.Evictions); n > 0 {
				t.Fatalf("%s: %d things are done: %v %v %v", w.ID, n, w.Admissions, w.Stamps, w.Evictions)
			}
		}
	})
}

// TestWhoMayBeTakenAway: no pod is, but one past the gate that stays, of a workload in
// mode Gate whose pods are known; and no plan does two things to one pod.
func TestWhoMayBeTakenAway(t *testing.T) {
	often(t, func(t *rapid.T) {
		u := drawPast(t, 3)
		plan, _ := Decide(u.now, u.group, u.snapshot, u.ledger)
		for i, w := range plan.Workloads {
			state, _ := u.snapshot.Fleets[w.ID].At(u.now, fleetMaxAge)
			seen := map[string]string{}
			once := func(uid, what string) {
				if before := seen[uid]; before != "" {
					t.Fatalf("%s of %s: %s and %s", uid, w.ID, before, what)
				}
				seen[uid] = what
			}
			for _, a := range w.Admissions {
				once(a.UID, "admitted")
			}
			for _, s := range w.Stamps {
				once(s.UID, "stamped")
			}
			for _, e := range w.Evictions {
				once(e.UID, "evicted")
				found := false
				for _, p := range state.Pods {
					found = found || p.UID == e.UID && p.Holds() && !p.Terminating && p.Version == e.Version
				}
				if !found || u.group.Workloads[i].Mode != Gate {
					t.Fatalf("%s of %s is evicted (%s), in mode %s: %+v", e.UID, w.ID, e.Reason, w.Mode, state.Pods)
				}
			}
		}
	})
}

// TestShedsNoMoreThanItHasTo: only where fewer slots are free than half the reserve,
// never below the policy's floor, and without the last of them it would not be enough.
func TestShedsNoMoreThanItHasTo(t *testing.T) {
	often(t, func(t *rapid.T) {
		u := drawPast(t, 3)
		thought := think(u.now, u.group, u.snapshot, u.ledger)
		plan, _ := Decide(u.now, u.group, u.snapshot, u.ledger)
		type account struct{ free, due, given, least int }
		accounts := make([]account, len(thought.constraints))
		for k, c := range thought.constraints {
			a := account{free: c.Limit - c.Others - c.Ghosts}
			for _, f := range thought.fleets {
				for _, p := range f.pods {
					if !p.Gated {
						a.free -= f.on(c, p.grants)
					}
					if !p.Gated && f.leaves(u.now, p) {
						a.due -= f.on(c, p.grants)
					}
				}
			}
			a.due += c.Reserve + c.Pressure - a.free
			accounts[k] = a
		}
		for i, f := range thought.fleets {
			stay, shed := 0, map[string]bool{}
			for _, e := range plan.Workloads[i].Evictions {
				shed[e.UID] = e.Reason == Shed
			}
			for _, p := range f.pods {
				if !p.Gated && !f.leaves(u.now, p) {
					stay++
				}
			}
			gone := 0
			for _, p := range f.pods {
				if !shed[p.UID] || f.leaves(u.now, p) {
					continue // told before, and told again
				}
				gone++
				tight := false
				for k, c := range thought.constraints {
					held := f.on(c, p.grants)
					tight = tight || held > 0 && accounts[k].free < (c.Reserve+1)/2
					accounts[k].given += held
					if held > 0 && (accounts[k].least == 0 || held < accounts[k].least) {
						accounts[k].least = held
					}
				}
				if !tight {
					t.Fatalf("%s of %s is shed though enough is free: %+v", p.UID, f.ID, plan.Databases)
				}
			}
			if s := f.Shedding; gone > 0 && (!s.Enabled || stay-gone < s.MinReplicas) {
				t.Fatalf("%s sheds %d of %d pods: %+v", f.ID, gone, stay, s)
			}
		}
		enough := false // on each limit there is more than enough already without the smallest
		for _, a := range accounts {
			if a.given > 0 && a.given-a.least < a.due {
				enough = true
			}
		}
		if given := func() bool {
			for _, a := range accounts {
				if a.given > 0 {
					return true
				}
			}
			return false
		}(); given && !enough {
			t.Fatalf("more is shed than is due: %+v", accounts)
		}
	})
}

// TestSheddingComesToAnEnd: a database that only its workers fill gets its reserve
// back, as far as the floors allow, and then nothing more goes.
func TestSheddingComesToAnEnd(t *testing.T) {
	db := metrics.ID{Namespace: "data", Name: "name-0"}
	rapid.Check(t, func(t *rapid.T) {
		u := drawUniverse(t, 2)
		for i := range u.group.Workloads {
			u.group.Workloads[i].Shedding = Shedding{Enabled: true}
		}
		for range 12 {
			plan := u.decide()
			for i, w := range plan.Workloads {
				for _, e := range w.Evictions {
					for j, p := range u.fleets[i].pods {
						if p.UID == e.UID {
							u.fleets[i].pods = append(u.fleets[i].pods[:j], u.fleets[i].pods[j+1:]...)
							break
						}
					}
				}
			}
			u.now = u.now.Add(2e9)
			u.read(t, false)
		}
		plan := u.decide()
		for _, d := range plan.Databases {
			if d.ID != db {
				continue
			}
			for _, w := range plan.Workloads {
				for _, e := range w.Evictions {
					if e.Reason == Shed {
						t.Fatalf("after twelve rounds %s of %s is still to go: %s", e.UID, w.ID, e.Sentence)
					}
				}
			}
		}
	})
}
