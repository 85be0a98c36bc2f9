package replay

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"regexp"
	"runtime"
	"slices"
	"time"

	"github.com/keda-headroom/headroom/scaler/recording"
)

// source is where records come from: a [recording.Reader] is one.
type source interface {
	Samples(from, to time.Time, step time.Duration) iter.Seq2[recording.Record, error]
}

// stretch is a part of a recording that is read by itself.
type stretch struct{ from, to time.Time }

// segmentName is how package recording calls a segment's file: by its number and the
// time of its first record.
var segmentName = regexp.MustCompile(`^\d{8,20}-(\d{8}T\d{6}\.\d{9}Z)\.rec(\.zst)?$`)

// stretches divides a recording at the beginnings of its segments, each of which can
// be read without the others. Where their times do not rise, as after a step of the
// clock, or can't be known, the whole is one.
func stretches(dir string, from, to time.Time) []stretch {
	whole := []stretch{{from, to}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return whole // the reader says what is wrong
	}
	var starts []time.Time
	for _, e := range entries { // by name, and so by number
		parts := segmentName.FindStringSubmatch(e.Name())
		if parts == nil {
			continue
		}
		start, err := time.Parse("20060102T150405.000000000Z", parts[1])
		if err != nil {
			return whole
		}
		if n := len(starts); n > 0 && start.Equal(starts[n-1]) {
			continue // its compressed form beside the original
		}
		starts = append(starts, start)
	}
	if !slices.IsSortedFunc(starts, time.Time.Compare) {
		return whole
	}
	var out []stretch
	begin := from
	for _, start := range starts {
		if start.After(begin) && (to.IsZero() || start.Before(to)) && len(starts) > 0 && start.After(starts[0]) {
			out = append(out, stretch{begin, start})
			begin = start
		}
	}
	return append(out, stretch{begin, to})
}

// batch is what was read of a stretch.
type batch struct {
	records []recording.Record
	damage  []string
	err     error
}

// read gives the records of a recording in order, of each group one in every step.
// Stretches are read side by side, a few ahead of whoever listens.
func read(ctx context.Context, s source, parts []stretch, step time.Duration) iter.Seq[batch] {
	return func(yield func(batch) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		ahead := max(2, runtime.GOMAXPROCS(0))
		results := make([]chan batch, len(parts))
		for i := range results {
			results[i] = make(chan batch, 1)
		}
		start := func(i int) {
			if i < len(parts) {
				go func() { results[i] <- parts[i].read(ctx, s, step) }()
			}
		}
		for i := range min(ahead, len(parts)) {
			start(i)
		}
		for i := range parts {
			b := <-results[i]
			start(i + ahead)
			if !yield(b) {
				return
			}
		}
	}
}

func (p stretch) read(ctx context.Context, s source, step time.Duration) (b batch) {
	for r, err := range s.Samples(p.from, p.to, step) {
		var damage *recording.DamageError
		switch {
		case ctx.Err() != nil:
			b.err = ctx.Err()
			return b
		case errors.As(err, &damage):
			b.damage = append(b.damage, damage.Error())
			continue
		case errors.Is(err, fs.ErrNotExist):
			continue // the oldest made room
		case err != nil:
			b.err = err
			return b
		}
		b.records = append(b.records, r)
	}
	return b
}
