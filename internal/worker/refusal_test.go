package worker

import (
	"errors"
	"fmt"
	"testing"

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
		if got := Refusals(c.err); got != c.want {
			t.Errorf("%s: %d refusals, want %d", name, got, c.want)
		}
	}
}
