package demo

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestRefusalsOfAnError(t *testing.T) {
	full := &pgconn.PgError{Code: "53300", Message: "sorry, too many clients already"}
	denied := &pgconn.PgError{Code: "28000"}
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"none":                         {nil, 0},
		"something else":               {errors.New("53300"), 0},
		"denied":                       {denied, 0},
		"full":                         {full, 1},
		"wrapped":                      {fmt.Errorf("connect: %w", full), 1},
		"hidden behind a retry":        {fmt.Errorf("connect: %w", errors.Join(denied, full)), 1},
		"refused at two addresses":     {errors.Join(fmt.Errorf("a: %w", full), fmt.Errorf("b: %w", full)), 2},
		"deep inside a tree of errors": {errors.Join(errors.Join(denied, errors.Join(full)), full), 2},
	} {
		if got := refusals(c.err); got != c.want {
			t.Errorf("%s: %d refusals, want %d", name, got, c.want)
		}
	}
}

func TestTally(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var c tally
	for i, e := range []event{
		{Kind: isReady}, {Kind: isRefused, Count: 1}, {Kind: isDone}, {Kind: isRefused, Count: 2},
		{Kind: isFailed, Text: "first"}, {Kind: isFailed, Text: "second"}, {Kind: isRefused, Count: 4},
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
