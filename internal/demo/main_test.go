package demo

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/keda-headroom/headroom/cmd/headroom/serve"
)

// TestMain lets the test binary be a worker too, and `headroom serve`.
func TestMain(m *testing.M) {
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[1] == "worker":
		err = RunWorker(os.Stdin, os.Stdout)
	case len(os.Args) > 2 && os.Args[1] == "serve":
		err = runServe(os.Args[2:])
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runServe is what cmd/headroom makes of its flags.
func runServe(args []string) error {
	options := serve.Defaults()
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.Func("policy", "", func(path string) error {
		options.Policies = append(options.Policies, path)
		return nil
	})
	flags.StringVar(&options.Fleets, "fleets", "", "")
	flags.StringVar(&options.GRPCAddress, "grpc-address", "", "")
	flags.StringVar(&options.HTTPAddress, "http-address", "", "")
	flags.StringVar(&options.LogFormat, "log-format", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return serve.Run(ctx, options)
}
