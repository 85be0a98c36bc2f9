// Package why is the command headroom why: it asks a server, or a recording, why
// a workload has the target it has, and shows the answer.
package why

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/internal/output"
	"github.com/keda-headroom/headroom/internal/serverclient"
	"github.com/keda-headroom/headroom/metrics"
)

// Options are the command's arguments.
type Options struct {
	// Workload is NAME or NAMESPACE/NAME; Namespace is that of a bare NAME.
	Workload  string
	Namespace string
	// At is the time to ask about, as ParseAt takes it; "" is now.
	At string
	// Client asks the server; Recording is a directory that is read instead.
	Client    serverclient.Client
	Recording string
	// Output is table, json or yaml.
	Output string

	// Out gets the answer. Program is the version of this program.
	Out     io.Writer
	Program string
	// Now is time.Now where it is nil.
	Now func() time.Time
}

// Validate reports everything that can't be right about the options.
func (o Options) Validate() error {
	var all []error
	if _, err := o.workload(); err != nil {
		all = append(all, err)
	}
	if _, err := ParseAt(o.At, o.now()); err != nil {
		all = append(all, fmt.Errorf("--at: %w", err))
	}
	if o.Recording == "" {
		if err := o.Client.Validate(); err != nil {
			all = append(all, err)
		}
	}
	if err := output.Check(o.Output); err != nil {
		all = append(all, err)
	}
	return errors.Join(all...)
}

func (o Options) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}

func (o Options) workload() (metrics.ID, error) {
	text := o.Workload
	if !strings.Contains(text, "/") {
		text = o.Namespace + "/" + text
	}
	id, err := metrics.ParseID(text)
	if err != nil {
		return metrics.ID{}, fmt.Errorf("WORKLOAD: expected NAME or NAMESPACE/NAME, found %q in namespace %q", o.Workload, o.Namespace)
	}
	return id, nil
}

// ParseAt reads a time: RFC 3339, "15:04" or "15:04:05" today in now's zone, or a
// duration before now such as "-10m". "" is the zero time: now.
func ParseAt(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, ok := parseAt(text, now)
	if !ok {
		return time.Time{}, fmt.Errorf(`expected a time such as "2026-11-22T16:00:00Z", "16:00" or "16:00:30" (today), or "-10m", found %q`, text)
	}
	if at.After(now) {
		return time.Time{}, fmt.Errorf("expected a time that has been, found %s, which is in %s", at.Format(time.RFC3339), at.Sub(now).Round(time.Second))
	}
	return at, nil
}

func parseAt(text string, now time.Time) (time.Time, bool) {
	if strings.HasPrefix(text, "-") {
		ago, err := time.ParseDuration(text)
		return now.Add(ago), err == nil
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if clock, err := time.Parse(layout, text); err == nil {
			year, month, day := now.Date()
			return time.Date(year, month, day, clock.Hour(), clock.Minute(), clock.Second(), 0, now.Location()), true
		}
	}
	at, err := time.Parse(time.RFC3339, text)
	return at, err == nil
}
