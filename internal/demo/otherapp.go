package demo

import (
	"context"

	"github.com/keda-headroom/headroom/internal/otherapp"
	"github.com/keda-headroom/headroom/internal/worker"
)

// startOther starts the scenario's other application, and returns once all that
// it holds is open.
func startOther(ctx context.Context, s scenario, dsn, address string, events func(worker.Event)) (*otherapp.App, error) {
	return otherapp.Start(ctx, otherapp.Options{
		DSN: dsn, Address: address, Held: s.otherHeld, ShortEvery: s.shortEvery, Events: events,
	})
}
