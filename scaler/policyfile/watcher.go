package policyfile

import (
	"context"
	"time"

	"github.com/keda-headroom/headroom/scaler/policies"
)

// DefaultInterval is how often files are read.
const DefaultInterval = 500 * time.Millisecond

// Options say which files are watched, and who judges them. Paths and Origin are
// required.
type Options struct {
	// Paths are files, and directories whose YAML and JSON files are policies.
	Paths []string
	// Interval is how often they are read, 0 for the default.
	Interval time.Duration
	// Origin judges what was found. It has to be together.
	Origin *policies.Origin
}

// Watcher tells what stands in files. Make one with [New], Load once, then Run
// it.
type Watcher struct {
	options Options

	seen   list // what was read last
	judged list // what was judged last
}

// New returns a watcher that has read nothing yet.
func New(options Options) *Watcher {
	if options.Interval <= 0 {
		options.Interval = DefaultInterval
	}
	return &Watcher{options: options}
}

// Load reads the files as they are, and has them judged.
func (w *Watcher) Load() policies.Result {
	w.seen = read(w.options.Paths)
	return w.judge()
}

// Run reads the files again and again until ctx ends, and has judged what
// changed.
func (w *Watcher) Run(ctx context.Context) {
	due := time.NewTicker(w.options.Interval)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-due.C:
		}
		before := w.seen
		w.seen = read(w.options.Paths)
		if w.seen.same(before) && !w.seen.same(w.judged) {
			w.judge()
		}
	}
}

func (w *Watcher) judge() policies.Result {
	w.judged = w.seen
	return w.options.Origin.Found(w.judged.found())
}
