// Package replay is the command headroom replay: it makes recorded decisions again
// by another policy, and says what would have been otherwise.
package replay

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/internal/timespan"
)

// Outputs are the forms that results can be written in.
var Outputs = []string{"table", "json"}

// Unlimited is the value of a threshold that is not set.
const Unlimited = -1

// Options are the command's arguments.
type Options struct {
	// Recording is a directory; Policies are files of policies, none for those that were
	// recorded. Redact is not given with any.
	Recording string
	Policies  []string
	// From and To cut the recording, RFC 3339; "" is its beginning or end.
	From, To string
	// Step is the shortest time between two decisions for a group of databases.
	Step time.Duration
	// Redact is a directory that gets the recording with every name replaced.
	Redact string
	// Thresholds; Unlimited where they are not set. MorePodHours is in percent of the
	// recorded ones, by workload; Different and Limited in percent of the time; Target
	// is how many replicas fewer or more at any moment.
	MorePodHours, Different, Limited float64
	PeakConnections                  int
	Output                           string

	Out io.Writer
}

// Defaults are what the options are where nothing is said.
func Defaults() Options {
	return Options{Step: 15 * time.Second, MorePodHours: Unlimited, Different: Unlimited, Limited: Unlimited, PeakConnections: Unlimited, Output: "table"}
}

// Validate reports everything that can't be right about the options.
func (o Options) Validate() error {
	var all []error
	fail := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if o.Recording == "" {
		fail("--recording: expected the directory of a recording, found none")
	}
	if len(o.Policies) > 0 && o.Redact != "" {
		fail("expected --policy or --redact, found both")
	}
	if o.Step < 0 {
		fail("--step: expected 0s or more, found %s", o.Step)
	}
	if _, _, err := timespan.Parse(o.From, o.To); err != nil {
		all = append(all, err)
	}
	if !slices.Contains(Outputs, o.Output) {
		fail("--output: expected one of %s, found %q", strings.Join(Outputs, ", "), o.Output)
	}
	return errors.Join(all...)
}
