// Command demo shows what Headroom is for on this machine: see package
// internal/demo.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/keda-headroom/headroom/internal/demo"
)

const usage = `Usage: go run ./cmd/demo [flags]

Runs the same burst of messages three times against one small PostgreSQL that the
workers share with another application: scaled on queue depth alone, by Headroom,
and with a fixed number of workers that just fits. It ends in a table, in at most
four minutes, and leaves nothing behind.

Exit status: 0; 1 if under Headroom a connection was refused before the other
application's spike, the burst did not drain, or the demo could not run; 2 for
wrong flags; 130 when interrupted.

Flags:
`

// workerArgument makes this program a worker of the demo.
const workerArgument = "worker"

func main() { os.Exit(run()) }

func run() int {
	if len(os.Args) == 2 && os.Args[1] == workerArgument {
		if err := demo.RunWorker(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	options := demo.Options{Stdout: os.Stdout, Stderr: os.Stderr}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.StringVar(&options.DSN, "dsn", "", "any PostgreSQL instead of a private one, by a superuser or a role with CREATEROLE and CREATEDB; the demo makes a database and roles of its own and drops them again (default $DEMO_DSN)")
	flags.StringVar(&options.Output, "output", "table", "table, or json for one object on the last line")
	flags.StringVar(&options.Headroom, "headroom", "", "path of a built headroom; without it the demo builds one")
	flags.BoolVar(&options.Verbose, "verbose", false, "show every decision of KEDA and the HPA")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	switch err := flags.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(os.Stderr, "demo: expected flags only, found %q\n", flags.Arg(0))
		return 2
	}
	if options.DSN == "" {
		options.DSN = os.Getenv("DEMO_DSN") // a DSN in an argument is for everybody to see
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	options.Worker = []string{self, workerArgument}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	err = demo.Run(ctx, options)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "\ndemo: interrupted; everything it started has ended")
		return 130
	}
	fmt.Fprintln(os.Stderr, "demo:", err)
	return 1
}
