package forecast

import "time"

// timed is what happens at a time; of several at one time the one with the lower
// order is first.
type timed[T any] struct {
	at    time.Duration
	order uint64
	what  T
}

// agenda is a binary heap of what happens, the first on top.
type agenda[T any] struct {
	heap []timed[T]
	next uint64
}

func (a *agenda[T]) add(at time.Duration, what T) {
	a.next++
	a.heap = append(a.heap, timed[T]{at, a.next, what})
	h := a.heap
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h[i].before(h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

// first returns when the first happens; false where there is none.
func (a *agenda[T]) first() (time.Duration, bool) {
	if len(a.heap) == 0 {
		return 0, false
	}
	return a.heap[0].at, true
}

func (a *agenda[T]) take() T {
	h := a.heap
	out := h[0].what
	last := len(h) - 1
	h[0] = h[last]
	h[last] = timed[T]{} // what it refers to may go
	h = h[:last]
	a.heap = h
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < last; c++ {
			if h[c].before(h[least]) {
				least = c
			}
		}
		if least == i {
			return out
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

func (t timed[T]) before(o timed[T]) bool {
	return t.at < o.at || t.at == o.at && t.order < o.order
}
