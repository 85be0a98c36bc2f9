package agescore

import (
	"container/heap"
	"math/rand/v2"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// queue is an exact model of a standard queue with consumers that take one message
// at a time, in the order in which they came: the same counts, points and truth as
// package fakeaws gives (TestAgreesWithFakeAWS), thousands of times as fast.
type queue struct {
	random  *rand.Rand
	service func(*rand.Rand) float64 // seconds of work on the next message

	now       float64   // seconds since the beginning
	arrived   []float64 // of messages that wait, oldest first
	head      int       // the first of them
	busy      busy
	consumers int // as many as there should be; a busy one ends its message first

	sent, deleted float64 // in the open minute
	oldest        float64 // at its beginning
	minutes       []metrics.Minute
	limit         float64 // an age from which on a message is late; 0 for none
	late, done    float64
	worked        float64 // seconds of work taken on
	began         time.Time
}

// work is one message in flight.
type work struct{ arrived, done float64 }

type busy []work

func (b busy) Len() int           { return len(b) }
func (b busy) Less(i, j int) bool { return b[i].done < b[j].done }
func (b busy) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }
func (b *busy) Push(x any)        { *b = append(*b, x.(work)) }
func (b *busy) Pop() any {
	last := (*b)[len(*b)-1]
	*b = (*b)[:len(*b)-1]
	return last
}

func newQueue(began time.Time, random *rand.Rand, service func(*rand.Rand) float64) *queue {
	return &queue{random: random, service: service, began: began}
}

// pass goes to t; arrivals come at the times given, in order, all before t.
func (q *queue) pass(t float64, arrivals []float64) {
	for _, at := range arrivals {
		q.until(at)
		q.arrived = append(q.arrived, at)
		q.sent++
		q.take()
	}
	q.until(t)
}

// until lets work end up to t.
func (q *queue) until(t float64) {
	for {
		end := (float64(int(q.now/60)) + 1) * 60
		next := min(t, end)
		if len(q.busy) > 0 && q.busy[0].done <= next {
			q.now = max(q.now, q.busy[0].done)
			if w, _ := heap.Pop(&q.busy).(work); q.limit > 0 && q.now-w.arrived > q.limit {
				q.late++
			}
			q.done++
			q.deleted++
			q.take()
			continue
		}
		q.now = next
		if next == end {
			q.minute()
			continue
		}
		q.take()
		return
	}
}

// take gives waiting messages to free consumers.
func (q *queue) take() {
	for len(q.busy) < q.consumers && q.head < len(q.arrived) {
		takes := q.service(q.random)
		q.worked += takes
		heap.Push(&q.busy, work{q.arrived[q.head], q.now + takes})
		q.head++
	}
	if q.head > 4096 && q.head*2 > len(q.arrived) {
		q.arrived = append([]float64(nil), q.arrived[q.head:]...)
		q.head = 0
	}
}

// minute ends one: the age is that of its beginning, in whole seconds.
func (q *queue) minute() {
	sent, deleted, age := q.sent, q.deleted, float64(int(q.oldest))
	start := q.began.Add(time.Duration(q.now-60) * time.Second)
	q.minutes = append(q.minutes, metrics.Minute{Start: start, Sent: &sent, Deleted: &deleted, OldestAge: &age})
	q.sent, q.deleted, q.oldest = 0, 0, q.age()
}

// age is the truth: of the oldest message that is not done.
func (q *queue) age() float64 {
	oldest := q.now
	if q.head < len(q.arrived) {
		oldest = q.arrived[q.head]
	}
	for _, w := range q.busy {
		oldest = min(oldest, w.arrived)
	}
	return q.now - oldest
}

func (q *queue) counts() metrics.Queue {
	return metrics.Queue{Visible: int64(len(q.arrived) - q.head), InFlight: int64(len(q.busy))}
}

// points are the last of those whose minute ended delay ago.
func (q *queue) points(delay float64, most int) metrics.Points {
	n := len(q.minutes)
	for n > 0 && q.minutes[n-1].Start.Sub(q.began).Seconds()+60+delay > q.now {
		n--
	}
	return metrics.Points{Minutes: q.minutes[max(0, n-most):n]}
}
