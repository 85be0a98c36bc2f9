package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/keda-headroom/headroom/internal/worker"
)

// RunWorker is a worker's process. It is told what to do in one line of JSON on
// its standard input, so that no password stands in an argument, and consumes
// until it gets SIGTERM or its standard input ends (whoever started it is gone).
// Then it finishes what it has begun, closes its connections and returns.
func RunWorker(stdin io.Reader, stdout io.Writer) error {
	in := bufio.NewReader(stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("worker: expected its configuration on standard input: %w", err)
	}
	var config worker.Config
	if err := json.Unmarshal(line, &config); err != nil {
		return fmt.Errorf("worker: its configuration: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, in) // whatever ends it, the other side is gone
		stop()
	}()
	out := json.NewEncoder(stdout)
	return worker.Run(ctx, config, func(e worker.Event) {
		_ = out.Encode(e) // nobody listens any more: standard input ends too
	})
}
