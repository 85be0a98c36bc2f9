package clairvoyant

import (
	"container/heap"
	"time"
)

// Reach returns which messages could be done in time at all, and how many.
func (p Problem) Reach() (reach []bool, kept int) {
	reach = make([]bool, len(p.Messages))
	p.keep(p.MaxReplicas, func(i int) {
		reach[i] = true
		kept++
	})
	return reach, kept
}

// peak is the least number of pods, there all the time, that keeps so many messages:
// the same ones, as fewer pods finish nothing earlier.
func (p Problem) peak(kept int) int {
	least, enough := 0, p.MaxReplicas
	for least < enough {
		half := (least + enough) / 2
		n := 0
		p.keep(half, func(int) { n++ })
		if n >= kept {
			enough = half
		} else {
			least = half + 1
		}
	}
	return enough
}

// keep lets so many pods work from the beginning on, those beyond MinReplicas once
// they have started, and tells which messages are done in time.
func (p Problem) keep(pods int, kept func(message int)) {
	var free slots
	for i := range pods {
		ready := time.Duration(0)
		if i >= p.MinReplicas {
			ready = p.StartUp
		}
		for range p.Slots {
			free = append(free, ready) // in order already: a heap
		}
	}
	if len(free) == 0 {
		return
	}
	for i, m := range p.Messages {
		end := max(m.At, free[0]) + m.Takes
		free.replace(end)
		if end-m.At <= p.Objective {
			kept(i)
		}
	}
}

// slots is when each slot is free, as a heap: the first to be free is the first.
type slots []time.Duration

// replace puts another time in the place of the first.
func (s slots) replace(at time.Duration) {
	s[0] = at
	heap.Fix(s, 0)
}

func (s slots) Len() int           { return len(s) }
func (s slots) Less(i, j int) bool { return s[i] < s[j] }
func (s slots) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s slots) Push(any)           {} // there are never more
func (s slots) Pop() any           { return nil }
