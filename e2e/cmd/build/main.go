// Command build builds what the end-to-end tests run, where it is not kept from an
// earlier time, and prints where it is. From nothing that takes about 15 minutes on
// two processors.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/keda-headroom/headroom/e2e/binaries"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := build(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1) //nolint:gocritic // stop only matters to a process that goes on
	}
}

func build(ctx context.Context) error {
	b, err := binaries.Build(ctx, os.Stderr)
	if err != nil {
		return err
	}
	headroom, err := binaries.Program(ctx, os.Stderr, "github.com/keda-headroom/headroom/cmd/headroom")
	if err != nil {
		return err
	}
	fmt.Printf("Kubernetes %s  %s\n", b.Kubernetes, b.ControlPlane)
	for _, path := range []string{b.Operator, b.Adapter, b.Webhooks} {
		fmt.Printf("KEDA %s        %s\n", b.KEDA, path)
	}
	fmt.Printf("Headroom            %s\n", headroom)
	return nil
}
