// Command bench plays scenarios for contenders and writes results and a report.
// Run it in the directory e2e.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/keda-headroom/headroom/e2e/bench"
	"github.com/keda-headroom/headroom/e2e/bench/report"
	"github.com/keda-headroom/headroom/e2e/bench/result"
	"github.com/keda-headroom/headroom/e2e/contender"
	"github.com/keda-headroom/headroom/e2e/scenario"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // stop only matters to a process that goes on
	}
}

func run(ctx context.Context, args []string) error {
	o := bench.Defaults()
	flags := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	flags.StringSliceVar(&o.Scenario, "scenario", nil, "names of scenarios, without their ending; none means all")
	flags.StringSliceVar(&o.Contender, "contender", nil, "names of contenders, without their ending; none means all. Fixed replicas run beside them in any case")
	flags.IntVar(&o.Seeds, "seeds", o.Seeds, "how often to play each scenario, with another seed each time")
	flags.BoolVar(&o.NoSweep, "no-sweep", false, "play contenders with the parameters that they show alone, also in scenarios that are for sweeps")
	flags.IntVar(&o.Lanes, "lanes", o.Lanes, "how many contenders run side by side at most, fixed replicas included; 0 for all")
	flags.DurationVar(&o.WarmUp, "warm-up", o.WarmUp, "how long everything stands before a timeline begins")
	flags.IntVar(&o.FirstNetwork, "first-network", o.FirstNetwork, "N of the first 127.N.0.0/16 for pods, 10 to 249: runs at the same time on one machine begin far apart")
	flags.StringVar(&o.Out, "out", filepath.Join("..", "docs", "benchmarks"), "directory of results and report")
	flags.StringVar(&o.Dir, "logs", "", "directory for logs, which has to be empty; left out, they are thrown away")
	again := flags.Bool("report", false, "play nothing: write the report of the results that there are")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("expected flags alone, found %q", flags.Arg(0))
	}
	var err error
	if o.Scenarios, err = scenario.ReadDir(os.DirFS("scenarios")); err != nil {
		return err
	}
	if o.Contenders, err = contender.ReadDir(os.DirFS("contenders")); err != nil {
		return err
	}
	if *again {
		results, err := result.ReadFile(filepath.Join(o.Out, report.Results))
		if err != nil {
			return err
		}
		return report.Write(o.Out, results, o.Scenarios, o.Contenders)
	}
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "headroom-bench-"); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(o.Dir) }()
	}
	o.Log = os.Stderr
	return bench.Run(ctx, o)
}
