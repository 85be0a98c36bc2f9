// Package simulate is the command headroom simulate: it plays a trace of arrivals
// through a policy, and beside it through what one would do without it.
package simulate

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/internal/databaselimits"
	"github.com/keda-headroom/headroom/internal/forecast"
)

// Outputs are the forms that results can be written in.
var Outputs = []string{"table", "json", "html"}

// Modes are how the policy may be simulated.
var Modes = []string{"policy", "target", "gate"}

// Options are the command's arguments.
type Options struct {
	// Policies are files; Workload is NAME or NAMESPACE/NAME of one of theirs, and may
	// be left out where there is only one with a queue.
	Policies []string
	Workload string
	// Trace is a file of arrivals; From and To cut it, since its beginning, 0 for its
	// end; Scale multiplies its counts.
	Trace    string
	From, To time.Duration
	Scale    float64
	// Service is a distribution, and SecondsPerMessage its mean: the policy's where it
	// is 0.
	Service           string
	SecondsPerMessage float64
	// Concurrency is how many messages a pod works on at once: the policy's where it
	// is 0.
	Concurrency int
	StartUp     time.Duration
	Grace       time.Duration
	// DatabaseLimits are N, or NAME=N of one database.
	DatabaseLimits []string
	// Others is how many connections others hold, OthersTrace a file of how many they
	// want when.
	Others      int
	OthersTrace string
	// MinReplicas and MaxReplicas are the ScaledObject's.
	MinReplicas, MaxReplicas int
	// MaxMessageAge is the objective: the policy's where it is 0.
	MaxMessageAge time.Duration
	Mode          string
	PublishDelay  time.Duration
	Seed          uint64
	// PodHourCost is what an hour of a pod costs, in dollars.
	PodHourCost float64
	// FailBelowKept is the least share of the messages that could be kept which
	// Headroom has to keep, in percent; 0 is none.
	FailBelowKept float64
	Output        string
	// OutputFile gets the result, "" is Out.
	OutputFile string

	Out io.Writer
	// Now is time.Now where it is nil.
	Now func() time.Time
}

// Defaults are what the options are where nothing is said.
func Defaults() Options {
	return Options{
		Scale: 1, Service: string(forecast.Fixed), StartUp: 10 * time.Second, Grace: 30 * time.Second, MaxReplicas: 100, MinReplicas: 1,
		Mode: "policy", PublishDelay: 3 * time.Minute, Seed: 1, Output: "table",
	}
}

// Validate reports everything that can't be right about the options.
func (o Options) Validate() error {
	var all []error
	fail := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if len(o.Policies) == 0 {
		fail("--policy: expected a file of policies, found none")
	}
	if o.Trace == "" {
		fail("--trace: expected a file of arrivals, found none")
	}
	if len(o.DatabaseLimits) == 0 {
		fail("--database-limit: expected how many connections ordinary roles can have, as N or NAME=N, found none")
	}
	if _, err := databaselimits.Parse(o.DatabaseLimits); err != nil {
		all = append(all, err)
	}
	if !(o.Scale > 0) {
		fail("--scale: expected more than 0, found %v", o.Scale)
	}
	if _, err := forecast.ParseService(o.Service, time.Second); err != nil {
		fail("--service: %w", err)
	}
	for name, n := range map[string]float64{
		"--seconds-per-message": o.SecondsPerMessage, "--concurrency": float64(o.Concurrency), "--others": float64(o.Others), "--pod-hour-cost": o.PodHourCost,
		"--from": o.From.Seconds(), "--to": o.To.Seconds(), "--start-up": o.StartUp.Seconds(), "--grace": o.Grace.Seconds(),
		"--max-message-age": o.MaxMessageAge.Seconds(), "--publish-delay": o.PublishDelay.Seconds(), "--min-replicas": float64(o.MinReplicas),
	} {
		if !(n >= 0) {
			fail("%s: expected 0 or more, found %v", name, n)
		}
	}
	if o.MaxReplicas < max(1, o.MinReplicas) {
		fail("--max-replicas: expected at least 1 and --min-replicas, found %d", o.MaxReplicas)
	}
	if o.FailBelowKept < 0 || o.FailBelowKept > 100 {
		fail("--fail-below-kept: expected 0 to 100, found %v", o.FailBelowKept)
	}
	if o.Others > 0 && o.OthersTrace != "" {
		fail("expected --others or --others-trace, found both")
	}
	for _, choice := range []struct {
		flag, found string
		of          []string
	}{{"--output", o.Output, Outputs}, {"--mode", o.Mode, Modes}} {
		if !slices.Contains(choice.of, choice.found) {
			fail("%s: expected one of %s, found %q", choice.flag, strings.Join(choice.of, ", "), choice.found)
		}
	}
	slices.SortFunc(all, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(all...)
}

func (o Options) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}
