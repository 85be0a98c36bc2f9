package gate

import "time"

// Bounds of what is sent.
const (
	// MaxPlanAge is how old a plan may be that is acted on.
	MaxPlanAge = 3 * time.Second
	// repeatAfter is how long an attempt that was answered is believed before the
	// same is tried again: by then a watch has shown what came of it.
	repeatAfter = 5 * time.Second
	// firstRetry is how long the first attempt after a failure waits, and doubles
	// with each, to at most repeatAfter.
	firstRetry = 250 * time.Millisecond
	// forgetAfter is how long an attempt is remembered that no plan asks for.
	forgetAfter = time.Minute
)

// Attempt is the last attempt at a pod.
type Attempt struct {
	Action Action
	// Ended is the zero time while it is under way.
	Ended  time.Time
	Result Result
	// Failures counts the attempts at the same action that failed, or were not
	// answered, since the last that did not.
	Failures int
}

// end is the attempt after it ended.
func (t Attempt) end(at time.Time, r Result) Attempt {
	t.Ended, t.Result = at, r
	switch r {
	case Unanswered, Failed, Denied:
		t.Failures++
	case Done, Stale, Gone, Blocked:
		t.Failures = 0
	}
	return t
}

// May reports whether an action may be sent at now, by who leads in term, "" where
// this process does not. It is asked right before each request, and has to be
// given the term of that instant.
func (a Action) May(term string, now time.Time) bool {
	return term != "" && a.Term == term && now.Sub(a.Planned) <= MaxPlanAge
}

// Next returns the actions that are to be sent at now by who leads in term, in
// order, given the last attempt at each pod, by UID; and when to look again for
// those that wait, the zero time where none does.
//
// Of a pod there is at most one request under way. What was answered is not asked
// again at once, because a plan repeats it until a reading shows it; what was not
// answered is.
func Next(actions []Action, last map[string]Attempt, term string, now time.Time) (due []Action, again time.Time) {
	taken := make(map[string]bool, len(actions))
	for _, a := range actions {
		if !a.May(term, now) || taken[a.UID] {
			continue
		}
		taken[a.UID] = true
		attempt, tried := last[a.UID]
		if !tried {
			due = append(due, a)
			continue
		}
		if attempt.Ended.IsZero() {
			continue
		}
		at := attempt.Ended.Add(attempt.pause(a))
		if now.Before(at) {
			if again.IsZero() || at.Before(again) {
				again = at
			}
			continue
		}
		due = append(due, a)
	}
	return due, again
}

// pause is how long an action waits after the last attempt at its pod ended.
func (t Attempt) pause(a Action) time.Duration {
	if !t.Action.same(a) {
		if t.Action.Kind == a.Kind && t.Result == Blocked {
			return repeatAfter // a budget doesn't care for the pod's version
		}
		if t.Action.Kind == a.Kind && t.Failures > 0 {
			return t.backoff()
		}
		return 0
	}
	if t.Failures > 0 {
		return t.backoff()
	}
	return repeatAfter
}

func (t Attempt) backoff() time.Duration {
	wait := firstRetry
	for range t.Failures - 1 {
		if wait *= 2; wait >= repeatAfter {
			return repeatAfter
		}
	}
	return wait
}

// forget drops what is known of pods that no plan wants anything of any more.
func forget(last map[string]Attempt, actions []Action, now time.Time) {
	wanted := make(map[string]bool, len(actions))
	for _, a := range actions {
		wanted[a.UID] = true
	}
	for uid, attempt := range last {
		if !wanted[uid] && !attempt.Ended.IsZero() && now.Sub(attempt.Ended) > forgetAfter {
			delete(last, uid)
		}
	}
}
