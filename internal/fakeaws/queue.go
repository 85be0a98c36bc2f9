package fakeaws

import (
	"container/heap"
	"container/list"
	"slices"
	"time"
)

const (
	deduplicationWindow = 5 * time.Minute
	maxVisibility       = 12 * time.Hour
	// poisonReceives is the number of receives from which CloudWatch leaves a
	// message of a standard queue out of the age of the oldest.
	poisonReceives = 3
)

// queue is the state of one queue. It does no I/O and reads no clock: every
// caller passes now, which never goes back, after calling advance(now).
//
//	send ──> delayed ──due──> visible ──receive──> inFlight ──delete──> gone
//	   └───────────────────────^   ^──due, timeout 0──┘
//	                               visible ──receive, once too often──> dead-letter queue
type queue struct {
	id       uint64
	name     string
	arn      string
	created  time.Time
	modified time.Time
	settings

	lastSequence uint64
	bySequence   map[uint64]*message
	kept         *list.List // every message, in the order the queue took them
	line         *list.List // visible messages of a standard queue
	groups       map[string]*group
	ready        *list.List // groups of a FIFO queue that can be received from
	timed        dueHeap    // delayed and inFlight messages
	delayedCount int
	flightCount  int
	groupFlights int // groups with messages in flight

	remembered     map[string]accepted // by deduplication key
	rememberedKeys []string            // oldest first

	deadLetters bool // took a message from another queue's redrive
	purged      time.Time
	totals      totals
	series      series
}

// group is one message group of a FIFO queue.
type group struct {
	name     string
	messages []*message // in order, those in flight included
	inFlight int
	ready    *list.Element
}

// accepted is what a producer was told, repeated to a duplicate.
type accepted struct {
	id       string
	sequence uint64
	at       time.Time
}

// delivery is one message as one consumer gets it.
type delivery struct {
	message
	handle string
}

func newQueue(id uint64, name, arn string, s settings, sampleOffset time.Duration, now time.Time) *queue {
	return &queue{
		id: id, name: name, arn: arn, created: now, modified: now, settings: s,
		bySequence: map[uint64]*message{},
		kept:       list.New(),
		line:       list.New(),
		groups:     map[string]*group{},
		ready:      list.New(),
		remembered: map[string]accepted{},
		series:     newSeries(sampleOffset, now),
	}
}

// advance lets time pass: what became due up to now happens, in order, and
// the minutes that ended leave their points behind.
func (q *queue) advance(now time.Time) {
	for {
		next := q.series.next()
		if due, ok := q.nextDue(); ok && !due.After(now) && due.Before(next) {
			q.elapse(q.timed[0])
			continue
		}
		if next.After(now) {
			return
		}
		if !q.series.sampled {
			q.series.sample(q.gauges(next))
			continue
		}
		q.expire(next)
		q.series.close(q.totals, q.kept.Len() > 0)
	}
}

// nextDue returns when the next message changes its state by itself.
func (q *queue) nextDue() (time.Time, bool) {
	if len(q.timed) == 0 {
		return time.Time{}, false
	}
	return q.timed[0].due, true
}

// elapse ends a delay or a visibility timeout.
func (q *queue) elapse(m *message) {
	if m.state == inFlight {
		q.totals.expired++
	}
	q.show(m)
}

// show makes a message receivable that was not.
func (q *queue) show(m *message) {
	q.leave(m)
	m.state = visible
	if q.fifo {
		q.settle(q.groups[m.group])
		return
	}
	m.line = q.line.PushBack(m)
}

// hide starts a message's delay or invisibility.
func (q *queue) hide(m *message, state messageState, due time.Time) {
	m.state, m.due = state, due
	heap.Push(&q.timed, m)
	if state == delayed {
		q.delayedCount++
		return
	}
	q.flightCount++
	if g := q.groups[m.group]; q.fifo {
		if g.inFlight++; g.inFlight == 1 {
			q.groupFlights++
		}
		q.settle(g)
	}
}

// leave takes a message out of the bookkeeping of its present state.
func (q *queue) leave(m *message) {
	switch m.state {
	case visible:
		if m.line != nil {
			q.line.Remove(m.line)
			m.line = nil
		}
	case delayed:
		heap.Remove(&q.timed, m.heapIndex)
		q.delayedCount--
	case inFlight:
		heap.Remove(&q.timed, m.heapIndex)
		q.flightCount--
		if g := q.groups[m.group]; q.fifo {
			if g.inFlight--; g.inFlight == 0 {
				q.groupFlights--
			}
		}
	case gone:
		// It is in no bookkeeping.
	}
}

// settle puts a group among the ready ones, or takes it away: a group can be
// received from while none of its messages is in flight.
func (q *queue) settle(g *group) {
	can := g.inFlight == 0 && len(g.messages) > 0 && g.messages[0].state == visible
	switch {
	case can && g.ready == nil:
		g.ready = q.ready.PushBack(g)
	case !can && g.ready != nil:
		q.ready.Remove(g.ready)
		g.ready = nil
	}
}

// duplicateOf returns what was accepted under the same deduplication key in
// the last five minutes, whether or not it is still in the queue.
func (q *queue) duplicateOf(key string, now time.Time) (accepted, bool) {
	for len(q.rememberedKeys) > 0 {
		oldest := q.rememberedKeys[0]
		if now.Sub(q.remembered[oldest].at) < deduplicationWindow {
			break
		}
		delete(q.remembered, oldest)
		q.rememberedKeys = q.rememberedKeys[1:]
	}
	a, ok := q.remembered[key]
	return a, ok
}

// send takes a message from a producer, hidden for the delay. A duplicate on
// a FIFO queue is answered as the first was, and dropped.
func (q *queue) send(c content, delay time.Duration, now time.Time) accepted {
	if q.fifo {
		if first, ok := q.duplicateOf(c.deduplicationKey, now); ok {
			return first
		}
	}
	m := &message{content: c, id: newID(), sent: now}
	q.take(m, delay, now)
	q.totals.sent++
	a := accepted{id: m.id, sequence: m.sequence, at: now}
	if q.fifo {
		q.remembered[c.deduplicationKey] = a
		q.rememberedKeys = append(q.rememberedKeys, c.deduplicationKey)
	}
	return a
}

// take adds a message, from a producer or from another queue's redrive.
func (q *queue) take(m *message, delay time.Duration, now time.Time) {
	q.lastSequence++
	m.sequence, m.entered, m.state = q.lastSequence, now, gone
	q.bySequence[m.sequence] = m
	m.kept = q.kept.PushBack(m)
	if q.fifo {
		g := q.groups[m.group]
		if g == nil {
			g = &group{name: m.group}
			q.groups[m.group] = g
		}
		g.messages = append(g.messages, m)
	}
	if delay > 0 {
		q.hide(m, delayed, now.Add(delay))
		return
	}
	q.show(m)
}

// receivable is an upper bound on how many waiting consumers can be served
// now: messages, or for a FIFO queue groups.
func (q *queue) receivable() int {
	if q.fifo {
		return q.ready.Len()
	}
	return q.line.Len()
}

// receive delivers up to limit messages and hides them for the visibility
// timeout. A message received maxReceiveCount times already goes to redrive
// instead, which reports whether it found the dead-letter queue.
func (q *queue) receive(limit int, visibility time.Duration, now time.Time, redrive func(*message) bool) []delivery {
	var taken []*message
	for m := q.head(); m != nil && len(taken) < limit; m = q.head() {
		batch := []*message{m}
		if q.fifo {
			// One call takes as many as it may of one group, in order; the
			// group counts as in flight only for the calls after it.
			waiting := q.groups[m.group].messages
			batch = slices.Clone(waiting[:min(len(waiting), limit-len(taken))])
		}
		for _, m := range batch {
			if m.state != visible {
				break
			}
			if !q.exhausted(m, redrive) {
				q.deliver(m, visibility, now)
				taken = append(taken, m)
			}
		}
	}
	q.totals.received += uint64(len(taken))
	out := make([]delivery, len(taken))
	for i, m := range taken {
		out[i] = delivery{message: *m, handle: receipt{q.id, m.sequence, m.receives}.handle()}
		if visibility == 0 {
			q.show(m) // only now, so that no call gets a message twice
		}
	}
	return out
}

// head returns the message that the next receive starts with, nil if none.
func (q *queue) head() *message {
	if q.fifo {
		if e := q.ready.Front(); e != nil {
			return e.Value.(*group).messages[0]
		}
		return nil
	}
	if e := q.line.Front(); e != nil {
		return e.Value.(*message)
	}
	return nil
}

// exhausted moves a message that was received too often to the dead-letter queue.
func (q *queue) exhausted(m *message, redrive func(*message) bool) bool {
	if q.redrive == nil || m.receives < q.redrive.maxReceives || !redrive(m) {
		return false
	}
	q.remove(m)
	q.totals.redriven++
	return true
}

func (q *queue) deliver(m *message, visibility time.Duration, now time.Time) {
	q.leave(m)
	m.receives++
	m.received = now
	if m.firstReceived.IsZero() {
		m.firstReceived = now
	}
	q.hide(m, inFlight, now.Add(visibility))
}

// remove takes a message out of the queue for good.
func (q *queue) remove(m *message) {
	q.leave(m)
	m.state = gone
	delete(q.bySequence, m.sequence)
	q.kept.Remove(m.kept)
	if !q.fifo {
		return
	}
	g := q.groups[m.group]
	if i := slices.Index(g.messages, m); i == 0 {
		g.messages = g.messages[1:]
	} else {
		g.messages = slices.Delete(g.messages, i, i+1)
	}
	q.settle(g)
	if len(g.messages) == 0 {
		delete(q.groups, m.group)
	}
}

// find returns the message of a receipt handle and whether the handle is that
// of its newest delivery; nil for a message that is gone.
func (q *queue) find(handle string) (m *message, newest bool, err *apiError) {
	r, ok := parseReceipt(handle)
	if !ok || r.queue != q.id || r.sequence == 0 || r.sequence > q.lastSequence || r.receive < 1 {
		return nil, false, errReceiptHandle(handle)
	}
	m = q.bySequence[r.sequence]
	return m, m != nil && m.receives == r.receive, nil
}

// delete ends a message. It succeeds, and counts, for a message that is gone
// already. On a standard queue an older handle succeeds and changes nothing;
// on a FIFO queue a handle whose visibility timeout is over is an error.
func (q *queue) delete(handle string) *apiError {
	m, newest, err := q.find(handle)
	if err != nil {
		return err
	}
	if q.fifo && m != nil && (!newest || m.state != inFlight) {
		return errInvalidParameter("Value %s for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.", handle)
	}
	q.totals.deleted++
	if newest {
		q.remove(m)
	}
	return nil
}

// changeVisibility hides a message in flight for timeout from now; 0 ends its
// invisibility at once.
func (q *queue) changeVisibility(handle string, timeout time.Duration, now time.Time) *apiError {
	m, newest, err := q.find(handle)
	if err != nil {
		return err
	}
	if !newest || m.state != inFlight {
		return errMessageNotInflight(handle)
	}
	if now.Add(timeout).After(m.received.Add(maxVisibility)) {
		return errInvalidParameter("Value %d for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds].", int(timeout/time.Second))
	}
	if timeout == 0 {
		q.show(m)
		return nil
	}
	m.due = now.Add(timeout)
	heap.Fix(&q.timed, m.heapIndex)
	return nil
}

// purge removes every message.
func (q *queue) purge() {
	for e := q.kept.Front(); e != nil; e = q.kept.Front() {
		q.remove(e.Value.(*message))
	}
}

// expire drops messages past their retention. It runs with the minute: the
// shortest retention is one minute.
func (q *queue) expire(now time.Time) {
	for e := q.kept.Front(); e != nil; {
		m, next := e.Value.(*message), e.Next()
		// A dead-letter queue goes on counting from the first send, a FIFO one
		// from the move.
		since := m.sent
		if q.fifo {
			since = m.entered
		}
		if now.Sub(since) >= q.retention {
			q.remove(m)
		} else if !q.deadLetters {
			break // the rest was sent later
		}
		e = next
	}
}
