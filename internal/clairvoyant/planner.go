package clairvoyant

import (
	"slices"
	"time"
)

// Planned is what a planner comes to who knows all that will come.
type Planned struct {
	Kept     int     `json:"kept"`
	PodHours float64 `json:"podHours"`
}

// planEvery is how often the planner changes its mind: as often as an HPA syncs.
const planEvery = 15 * time.Second

// Plan chooses, every 15 seconds, the fewest pods which, kept for the next three
// times the objective, would do in time whatever can be done in time. It is a choice
// of replicas that can be made, with whole pods and whole messages, and not always the
// cheapest: the least possible cost is between the bound and this.
func (p Problem) Plan(reach []bool) Planned {
	pl := planner{Problem: p, reach: reach, horizon: 3*p.Objective + p.StartUp}
	for range p.MinReplicas {
		pl.pods = append(pl.pods, make([]time.Duration, p.Slots))
	}
	for pl.now = 0; pl.now < p.Length || pl.next < len(p.Messages); pl.now += planEvery {
		pl.scale(pl.choose())
		pl.work(pl.now + planEvery)
	}
	return pl.end()
}

// planner is a plan as far as it goes. A pod is when each of its slots is free.
type planner struct {
	Problem
	reach   []bool
	horizon time.Duration
	now     time.Duration
	next    int // message
	pods    [][]time.Duration
	kept    int
	podTime time.Duration
	last    time.Duration // when the last message is done
}

// choose returns the fewest pods that miss no more than all pods would.
func (pl *planner) choose() int {
	n := len(pl.pods)
	least, most := pl.MinReplicas, pl.MaxReplicas
	if pl.next < len(pl.Messages) && pl.Messages[pl.next].At < pl.now+planEvery {
		least = max(least, min(1, most)) // too late or not, it has to be done
	}
	allowed := 0
	if pl.misses(n, 0) > 0 {
		if allowed = pl.misses(most, len(pl.Messages)); allowed > 0 && pl.misses(n, allowed) <= allowed {
			return n
		}
		for n < most && pl.misses(n, allowed) > allowed {
			n++
		}
		return n
	}
	for n > least && pl.misses(n-1, 0) == 0 {
		n--
	}
	return max(n, least)
}

// misses counts the messages of the horizon that n pods would not do in time, as far
// as one more than enough.
func (pl *planner) misses(n, enough int) int {
	var free slots
	for _, pd := range pl.staying(n) {
		free = append(free, pd...)
	}
	for range n - len(pl.pods) {
		for range pl.Slots {
			free = append(free, pl.now+pl.StartUp)
		}
	}
	missed := 0
	slices.Sort(free)
	for i := pl.next; i < len(pl.Messages) && pl.Messages[i].At < pl.now+pl.horizon; i++ {
		m := pl.Messages[i]
		late := true
		if len(free) > 0 {
			end := max(m.At, pl.now, free[0]) + m.Takes
			free.replace(end)
			late = end-m.At > pl.Objective
		}
		if late && pl.reach[i] {
			if missed++; missed > enough {
				return missed
			}
		}
	}
	return missed
}

// staying are the n pods that have the most to do: the others go first.
func (pl *planner) staying(n int) [][]time.Duration {
	if n >= len(pl.pods) {
		return pl.pods
	}
	busiest := slices.Clone(pl.pods)
	slices.SortStableFunc(busiest, func(a, b []time.Duration) int { return int(slices.Max(b) - slices.Max(a)) })
	return busiest[:n]
}

// scale lets pods come and go. Who goes ends what it has begun.
func (pl *planner) scale(n int) {
	staying := pl.staying(n)
	if n < len(pl.pods) {
		for _, pd := range pl.pods {
			if !slices.ContainsFunc(staying, func(s []time.Duration) bool { return &s[0] == &pd[0] }) {
				pl.podTime += max(0, slices.Max(pd)-pl.now)
			}
		}
	}
	pl.pods = slices.Clone(staying)
	for len(pl.pods) < n {
		pd := make([]time.Duration, pl.Slots)
		for i := range pd {
			pd[i] = pl.now + pl.StartUp
		}
		pl.pods = append(pl.pods, pd)
	}
}

// work lets the pods work until a time, and counts them.
func (pl *planner) work(until time.Duration) {
	for ; pl.next < len(pl.Messages) && len(pl.pods) > 0; pl.next++ {
		m := pl.Messages[pl.next]
		first := &pl.pods[0][0]
		for _, pd := range pl.pods {
			for i := range pd {
				if pd[i] < *first {
					first = &pd[i]
				}
			}
		}
		begin := max(m.At, pl.now, *first)
		if begin >= until {
			break
		}
		*first = begin + m.Takes
		pl.last = max(pl.last, *first)
		if *first-m.At <= pl.Objective {
			pl.kept++
		}
	}
	end := until
	if pl.next == len(pl.Messages) {
		end = min(until, max(pl.Length, pl.last, pl.now))
	}
	pl.podTime += time.Duration(len(pl.pods)) * (end - pl.now)
}

// end lets the pods finish.
func (pl *planner) end() Planned {
	for _, pd := range pl.pods {
		if len(pd) > 0 {
			pl.podTime += max(0, slices.Max(pd)-max(pl.now, pl.Length))
		}
	}
	return Planned{Kept: pl.kept, PodHours: pl.podTime.Hours()}
}
