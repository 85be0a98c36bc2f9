// Command update moves the modules that the control plane and KEDA are built from to
// other versions:
//
//	update --kubernetes v1.37.0 --keda v2.22.0
//
// Each takes over the replacements and exclusions that the published program is built
// with, and the versions of its dependencies. One that isn't named stays as it is.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	kubernetes := flag.String("kubernetes", "", "version of Kubernetes, as in v1.37.0")
	keda := flag.String("keda", "", "version of KEDA, as in v2.22.0")
	dir := flag.String("dir", ".", "the module of end-to-end tests")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *dir, *kubernetes, *keda); err != nil {
		fmt.Fprintln(os.Stderr, "update:", err)
		os.Exit(1) //nolint:gocritic // stop only matters to a process that goes on
	}
}

func run(ctx context.Context, dir, kubernetes, keda string) error {
	if kubernetes == "" && keda == "" {
		return fmt.Errorf("expected --kubernetes, --keda or both, found neither")
	}
	if kubernetes != "" {
		if err := updateKubernetes(ctx, module(filepath.Join(dir, "controlplane")), kubernetes); err != nil {
			return fmt.Errorf("move to Kubernetes %s: %w", kubernetes, err)
		}
	}
	if keda != "" {
		if err := updateKEDA(ctx, module(filepath.Join(dir, "keda")), keda); err != nil {
			return fmt.Errorf("move to KEDA %s: %w", keda, err)
		}
	}
	return nil
}
