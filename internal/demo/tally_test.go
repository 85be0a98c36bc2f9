package demo

import (
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/worker"
)

func TestTally(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var c tally
	for i, e := range []worker.Event{
		{Kind: worker.Ready}, {Kind: worker.Refused, Count: 1}, {Kind: worker.Done}, {Kind: worker.Refused, Count: 2},
		{Kind: worker.Failed, Text: "first"}, {Kind: worker.Failed, Text: "second"}, {Kind: worker.Refused, Count: 4},
	} {
		e.At = at.Add(time.Duration(i) * time.Second)
		c.add(e)
	}
	if got, want := c.now(), (count{refusals: 7, done: 1, failures: 2, failure: "first"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := c.before(at.Add(6 * time.Second)); got != 3 {
		t.Errorf("%d refusals before the last one, want 3", got)
	}
}
