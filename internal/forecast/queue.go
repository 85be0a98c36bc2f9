package forecast

import "time"

// item is a message in the queue or in work.
type item struct {
	number uint64
	at     time.Duration
}

// queue hands out the oldest message first.
type queue struct {
	returned []item // by age, the oldest last
	fresh    ring[item]
}

func (q *queue) len() int { return q.fresh.n + len(q.returned) }

// push adds the youngest message.
func (q *queue) push(m item) { q.fresh.push(m) }

// putBack returns a message that was popped before. All of them are older than any
// that was not.
func (q *queue) putBack(m item) {
	i := len(q.returned)
	q.returned = append(q.returned, m)
	for ; i > 0 && q.returned[i-1].number < m.number; i-- {
		q.returned[i] = q.returned[i-1]
	}
	q.returned[i] = m
}

func (q *queue) pop() item {
	if last := len(q.returned) - 1; last >= 0 {
		m := q.returned[last]
		q.returned = q.returned[:last]
		return m
	}
	return q.fresh.pop()
}

// oldest returns the oldest message that waits.
func (q *queue) oldest() (item, bool) {
	if last := len(q.returned) - 1; last >= 0 {
		return q.returned[last], true
	}
	if q.fresh.n == 0 {
		return item{}, false
	}
	return q.fresh.first(), true
}
