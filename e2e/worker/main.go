package worker

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/keda-headroom/headroom/internal/worker"
)

// Main is the program: it consumes until it gets SIGTERM, or until its Job is
// done, and writes events to stdout.
func Main(stdout io.Writer) error {
	frugal()
	config, err := FromEnvironment(os.Getenv)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	out := json.NewEncoder(stdout)
	return worker.Run(ctx, config, func(e worker.Event) {
		_ = out.Encode(e) // nobody listens any more: our node has gone, and we go with it
	})
}

// frugal makes room for hundreds of workers on a small machine: one thread of Go
// code, and a small heap, where the environment doesn't say otherwise.
func frugal() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}
