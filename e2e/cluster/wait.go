package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pollInterval is the time between two looks at a condition.
const pollInterval = 100 * time.Millisecond

// WaitFor looks at condition until it holds, and fails after timeout or when ctx ends.
// An error of condition is neither the end nor a condition that doesn't hold: it says
// what was found, and the last one is in the failure, after what was waited for.
func WaitFor(ctx context.Context, timeout time.Duration, what string, condition func(context.Context) (bool, error)) error {
	// Canceled, without a deadline that clients would give up ahead of, in their words.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(timeout, func() { cancel(context.DeadlineExceeded) })
	defer timer.Stop()
	begin := time.Now()
	if err := waitFor(ctx, what, condition); err != nil {
		return fmt.Errorf("%w (after %s)", err, time.Since(begin).Round(100*time.Millisecond))
	}
	return nil
}

// waitFor is WaitFor for as long as ctx lasts.
func waitFor(ctx context.Context, what string, condition func(context.Context) (bool, error)) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var last error
	for {
		done, err := condition(ctx)
		if done {
			return nil
		}
		// What the end of ctx did to the last look says nothing.
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("waited for %s: %w", what, context.Cause(ctx)), last)
		}
	}
}
