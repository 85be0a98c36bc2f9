// Package status is the command headroom status: what a running Headroom knows of
// its databases and has decided for its workloads, at a glance.
package status

import (
	"errors"
	"io"
	"time"

	"github.com/keda-headroom/headroom/internal/output"
	"github.com/keda-headroom/headroom/internal/serverclient"
)

// Options are the command's arguments.
type Options struct {
	// Client asks the server.
	Client serverclient.Client
	// Namespace keeps the workloads of one namespace and the databases that they
	// use; "" keeps all.
	Namespace string
	// Output is table, json or yaml.
	Output string
	// Out gets the overview.
	Out io.Writer
	// Now is time.Now where it is nil.
	Now func() time.Time
}

// Validate reports everything that can't be right about the options.
func (o Options) Validate() error {
	var all []error
	if err := o.Client.Validate(); err != nil {
		all = append(all, err)
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
