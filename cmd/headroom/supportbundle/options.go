// Package supportbundle is the command headroom support-bundle: it puts what a running
// Headroom knows and has recorded into one archive, with every name replaced, so that
// somebody else can see what happened and replay it.
package supportbundle

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/keda-headroom/headroom/internal/serverclient"
	"github.com/keda-headroom/headroom/internal/timespan"
)

// DefaultSpan is how much of a recording is taken before To, where From is not given
// and a server is asked.
const DefaultSpan = time.Hour

// Options are the command's arguments.
type Options struct {
	// Client asks the server; Recording is a directory that is taken instead, and then no
	// server is asked.
	Client    serverclient.Client
	Recording string
	// From and To cut the recording, RFC 3339. "" is DefaultSpan before To, or the
	// beginning of a directory; and now.
	From, To string
	// KeepNames leaves every name as it is.
	KeepNames bool
	// File is the archive's; "" is one in the working directory named after the time.
	// It must not exist.
	File string

	// Out gets what was done.
	Out io.Writer
	// Now is time.Now where it is nil. Key is for names; nil is one that nobody knows.
	Now func() time.Time
	Key []byte
}

// Validate reports everything that can't be right about the options.
func (o Options) Validate() error {
	var all []error
	if o.Recording == "" {
		all = append(all, o.Client.Validate())
	}
	if _, _, err := o.span(o.now()); err != nil {
		all = append(all, err)
	}
	if _, err := os.Lstat(o.File); o.File != "" && err == nil {
		all = append(all, fmt.Errorf("--file: expected a file that is not there yet, found %s", o.File))
	}
	return errors.Join(all...)
}

func (o Options) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}

// span is the time that is taken of the recording, at now.
func (o Options) span(now time.Time) (from, to time.Time, err error) {
	from, to, err = timespan.Parse(o.From, o.To)
	if err == nil && from.IsZero() && o.Recording == "" {
		end := to
		if end.IsZero() {
			end = now
		}
		from = end.Add(-DefaultSpan)
	}
	return from, to, err
}
