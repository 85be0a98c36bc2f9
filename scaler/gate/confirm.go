package gate

import (
	"context"
	"sync"
	"time"
)

// confirmation asks once for many stamps whether a term goes on. What counts for a
// stamp is that it was asked after the stamp was planned.
type confirmation struct {
	ask func(ctx context.Context, term string) error

	mu    sync.Mutex
	term  string
	began time.Time // of the last question that was answered with yes
}

// confirm returns nil where the action's term went on after the action was planned.
func (c *confirmation) confirm(ctx context.Context, a Action) error {
	if c.ask == nil || a.Kind != Stamp {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.term == a.Term && c.began.After(a.Planned) {
		return nil
	}
	began := time.Now()
	if err := c.ask(ctx, a.Term); err != nil {
		return err
	}
	c.term, c.began = a.Term, began
	return nil
}
