package fakeaws

import (
	"context"
	"slices"
	"time"
)

// hostedQueue is a queue with the consumers that wait for it in long polls.
// The server's lock guards it.
type hostedQueue struct {
	*queue
	deleted bool
	waiters []chan struct{} // longest waiting first; closed to wake
	alarm   *time.Timer     // advances the queue at alarmAt, while anybody waits
	alarmAt time.Time
}

// settleWaiters wakes who can be served and sees to it that the others are
// woken in time. It follows every change of the queue.
func (s *Server) settleWaiters(q *hostedQueue) {
	q.wake()
	due, ok := q.nextDue()
	if len(q.waiters) == 0 || !ok {
		q.disarm()
		return
	}
	if q.alarm != nil && q.alarmAt.Equal(due) {
		return
	}
	q.disarm()
	q.alarmAt = due
	var alarm *time.Timer
	alarm = time.AfterFunc(due.Sub(s.now()), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if q.alarm == alarm { // and not one set while this waited for the lock
			q.alarm = nil
		}
		q.advance(s.now())
		s.settleWaiters(q)
	})
	q.alarm = alarm
}

func (q *hostedQueue) disarm() {
	if q.alarm != nil {
		q.alarm.Stop()
		q.alarm = nil
	}
}

// wake wakes one waiter for each message, or group, that can be received.
func (q *hostedQueue) wake() {
	n := min(q.receivable(), len(q.waiters))
	for _, w := range q.waiters[:n] {
		close(w)
	}
	q.waiters = q.waiters[n:]
}

// await receives up to limit messages, waiting up to wait for the first. No
// messages is not an error. The caller holds the server's lock, which is
// released while waiting.
func (s *Server) await(ctx context.Context, q *hostedQueue, limit int, visibility, wait time.Duration) ([]delivery, error) {
	deadline := s.now().Add(wait)
	for {
		now := s.now()
		q.advance(now)
		if q.deleted {
			return nil, errQueueDoesNotExist()
		}
		if ctx.Err() != nil {
			// Nobody is left to take a message: let the next one have it.
			s.settleWaiters(q)
			return nil, nil //nolint:nilerr // nobody is left to be told
		}
		if got := q.receive(limit, visibility, now, s.redriver(q, now)); len(got) > 0 {
			s.settleWaiters(q)
			return got, nil
		}
		remaining := deadline.Sub(now)
		if remaining <= 0 {
			q.totals.emptyReceives++
			s.settleWaiters(q)
			return nil, nil
		}
		woken := make(chan struct{})
		q.waiters = append(q.waiters, woken)
		s.settleWaiters(q)
		s.mu.Unlock()
		timer := time.NewTimer(remaining)
		select {
		case <-woken:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		s.mu.Lock()
		q.waiters = slices.DeleteFunc(q.waiters, func(w chan struct{}) bool { return w == woken })
	}
}

// redriver moves messages of q that were received too often to q's
// dead-letter queue; it reports false where that queue does not exist.
func (s *Server) redriver(q *hostedQueue, now time.Time) func(*message) bool {
	return func(m *message) bool {
		target := s.byARN(q.redrive.target)
		if target == nil || target == q {
			return false
		}
		target.advance(now)
		moved := &message{content: m.content, id: m.id, sent: m.sent, source: q.arn, receivedBefore: m.receivedBefore + m.receives, firstReceived: m.firstReceived}
		target.deadLetters = true
		target.take(moved, 0, now)
		s.settleWaiters(target)
		return true
	}
}
