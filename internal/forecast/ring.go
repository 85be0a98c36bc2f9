package forecast

// ring is a queue that grows: what was pushed first is popped first. The zero ring is
// empty.
type ring[T any] struct {
	items   []T
	head, n int
}

func (q *ring[T]) push(what T) {
	if q.n == len(q.items) {
		grown := make([]T, max(64, 2*len(q.items)))
		for i := range q.n {
			grown[i] = q.items[(q.head+i)%len(q.items)]
		}
		q.items, q.head = grown, 0
	}
	q.items[(q.head+q.n)%len(q.items)] = what
	q.n++
}

// first is what is popped next. The ring is not empty.
func (q *ring[T]) first() T { return q.items[q.head] }

func (q *ring[T]) pop() T {
	var none T
	out := q.items[q.head]
	q.items[q.head] = none // what it refers to may go
	q.head = (q.head + 1) % len(q.items)
	q.n--
	return out
}
