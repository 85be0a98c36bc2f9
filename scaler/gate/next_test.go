package gate

import (
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestWhatIsSentNow(t *testing.T) {
	const me = "headroom-0_abc"
	admit := Action{Kind: Admit, UID: "u1", Version: "17", Term: me, Planned: start}
	newer, stamp, evict, other := admit, admit, admit, admit
	newer.Version = "18"
	stamp.Kind, stamp.Version = Stamp, ""
	evict.Kind = Evict
	moved := evict
	moved.Version = "18"
	other.UID = "u2"
	ended := func(a Action, ago time.Duration, r Result, failures int) map[string]Attempt {
		return map[string]Attempt{"u1": {Action: a, Ended: start.Add(-ago), Result: r, Failures: failures}}
	}
	for name, c := range map[string]struct {
		actions []Action
		last    map[string]Attempt
		term    string
		late    time.Duration
		want    []Action
		again   time.Duration
	}{
		"the first time":               {actions: []Action{admit, other}, want: []Action{admit, other}},
		"once for each pod":            {actions: []Action{stamp, admit}, want: []Action{stamp}},
		"a plan of a while ago":        {actions: []Action{admit}, late: 4 * time.Second},
		"a plan of another term":       {actions: []Action{admit}, term: "headroom-1_def"},
		"by who doesn't lead":          {actions: []Action{admit}, term: "-"},
		"while one is under way":       {actions: []Action{newer, other}, last: map[string]Attempt{"u1": {Action: admit}}, want: []Action{other}},
		"done, and not seen yet":       {actions: []Action{admit}, last: ended(admit, time.Second, Done, 0), again: 4 * time.Second},
		"done, and never seen":         {actions: []Action{admit}, last: ended(admit, 5*time.Second, Done, 0), want: []Action{admit}},
		"stale, and not seen yet":      {actions: []Action{admit}, last: ended(admit, time.Second, Stale, 0), again: 4 * time.Second},
		"stale, and seen":              {actions: []Action{newer}, last: ended(admit, 0, Stale, 0), want: []Action{newer}},
		"not answered":                 {actions: []Action{admit}, last: ended(admit, 250*time.Millisecond, Unanswered, 1), want: []Action{admit}},
		"not answered again and again": {actions: []Action{admit}, last: ended(admit, time.Second, Unanswered, 4), again: time.Second},
		"not answered for a long time": {actions: []Action{admit}, last: ended(admit, time.Second, Unanswered, 99), again: 4 * time.Second},
		"failed, at another version":   {actions: []Action{newer}, last: ended(admit, time.Second, Failed, 9), again: 4 * time.Second},
		"a stamp takes one back":       {actions: []Action{stamp}, last: ended(admit, 0, Unanswered, 3), want: []Action{stamp}},
		"kept by a budget":             {actions: []Action{moved}, last: ended(evict, time.Second, Blocked, 0), again: 4 * time.Second},
		"no longer kept":               {actions: []Action{moved}, last: ended(evict, 5*time.Second, Blocked, 0), want: []Action{moved}},
	} {
		term := me
		if c.term != "" {
			term = c.term
		}
		if term == "-" {
			term = ""
		}
		now := start.Add(c.late)
		got, again := Next(c.actions, c.last, term, now)
		if len(got) != len(c.want) {
			t.Errorf("%s: found %+v, want %+v", name, got, c.want)
			continue
		}
		for i := range got {
			if !got[i].same(c.want[i]) {
				t.Errorf("%s: found %+v, want %+v", name, got[i], c.want[i])
			}
		}
		if c.again == 0 && !again.IsZero() || c.again > 0 && !again.Equal(now.Add(c.again)) {
			t.Errorf("%s: to look again at %s, want in %s", name, again, c.again)
		}
	}
}

func TestAttemptsAreForgotten(t *testing.T) {
	last := map[string]Attempt{
		"wanted":    {Ended: start},
		"under way": {},
		"young":     {Ended: start.Add(59 * time.Second)},
		"old":       {Ended: start},
	}
	forget(last, []Action{{UID: "wanted"}}, start.Add(61*time.Second))
	if _, old := last["old"]; old || len(last) != 3 {
		t.Errorf("found %v", last)
	}
}
