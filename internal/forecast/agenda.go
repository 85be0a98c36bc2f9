package forecast

import (
	"container/heap"
	"time"
)

// agenda is what happens, the first first; of several at one time the one that was
// added first.
type agenda[T any] struct {
	queue queued[T]
	added uint64
}

type timed[T any] struct {
	at    time.Duration
	order uint64
	what  T
}

func (a *agenda[T]) add(at time.Duration, what T) {
	a.added++
	heap.Push(&a.queue, &timed[T]{at, a.added, what})
}

// first returns when the first happens; false where there is none.
func (a *agenda[T]) first() (time.Duration, bool) {
	if len(a.queue) == 0 {
		return 0, false
	}
	return a.queue[0].at, true
}

// take returns what happens first, and forgets it. There must be one.
func (a *agenda[T]) take() T {
	return heap.Pop(&a.queue).(*timed[T]).what
}

// queued is a [heap.Interface].
type queued[T any] []*timed[T]

func (q queued[T]) Len() int { return len(q) }

func (q queued[T]) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}

func (q queued[T]) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

func (q *queued[T]) Push(x any) { *q = append(*q, x.(*timed[T])) }

func (q *queued[T]) Pop() any {
	last := len(*q) - 1
	out := (*q)[last]
	(*q)[last] = nil // what it refers to may go
	*q = (*q)[:last]
	return out
}
