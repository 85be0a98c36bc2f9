package fakeaws

import "time"

// Truth is the exact state of a queue at one moment: what AWS only
// approximates, and the bar for whoever estimates it. Ages are 0 where there
// is no such message.
type Truth struct {
	At time.Time

	Visible  int // can be received, messages of blocked groups included
	InFlight int
	Delayed  int
	Poison   int // received three times or more, wherever they are

	// OldestAge is the age of the oldest message of any kind since this queue
	// took it; OldestVisibleAge of the oldest visible one.
	OldestAge        time.Duration
	OldestVisibleAge time.Duration
	// MetricAge is what ApproximateAgeOfOldestMessage would be at this moment,
	// unrounded and without delay: on a standard queue, poison messages left out.
	MetricAge time.Duration

	// Groups are the message groups with messages, GroupsInFlight those with
	// messages in flight; 0 on a standard queue.
	Groups, GroupsInFlight int

	// Since the queue was made. Deleted counts successful deletions, of the
	// same message too, as CloudWatch does; Expired visibility timeouts that
	// ran out; Redriven messages moved to the dead-letter queue.
	Sent, Received, Deleted, EmptyReceives, Expired, Redriven uint64
}

// Truth returns the exact state of the named queue now; false if there is none.
// It does not count as use of the queue.
func (s *Server) Truth(queueName string) (Truth, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[queueName]
	if q == nil {
		return Truth{}, false
	}
	now := s.now()
	q.advance(now)
	q.wake()
	return q.truth(now), true
}

func (q *queue) truth(now time.Time) Truth {
	g := q.gauges(now)
	t := Truth{
		At:      now,
		Visible: g.visible, InFlight: g.inFlight, Delayed: g.delayed, MetricAge: g.oldestAge,
		Groups: len(q.groups), GroupsInFlight: g.groupsInFlight,
		Sent: q.totals.sent, Received: q.totals.received, Deleted: q.totals.deleted,
		EmptyReceives: q.totals.emptyReceives, Expired: q.totals.expired, Redriven: q.totals.redriven,
	}
	for e := q.kept.Front(); e != nil; e = e.Next() {
		m := e.Value.(*message)
		age := now.Sub(m.entered)
		t.OldestAge = max(t.OldestAge, age)
		if m.state == visible {
			t.OldestVisibleAge = max(t.OldestVisibleAge, age)
		}
		if m.receives >= poisonReceives {
			t.Poison++
		}
	}
	return t
}
