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

// piece is a record, or what was wrong with some: damage is passed over, err is the
// last.
type piece struct {
	record recording.Record
	damage *recording.DamageError
	err    error
}

// unheard is how many pieces of a stretch are read before anybody listens.
const unheard = 16

// read gives the records of a recording in order, of each group one in every step.
// Stretches are read side by side, a few ahead of whoever listens.
func read(ctx context.Context, s source, parts []stretch, step time.Duration) iter.Seq[piece] {
	return func(yield func(piece) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		pieces := make([]chan piece, len(parts))
		start := func(i int) {
			if i < len(parts) {
				pieces[i] = make(chan piece, unheard)
				go parts[i].read(ctx, s, step, pieces[i])
			}
		}
		ahead := max(2, runtime.GOMAXPROCS(0))
		for i := range ahead {
			start(i)
		}
		for i := range parts {
			for p := range pieces[i] {
				if !yield(p) {
					return
				}
			}
			if ctx.Err() != nil {
				yield(piece{err: ctx.Err()})
				return
			}
			start(i + ahead)
		}
	}
}

// read sends what is in the stretch until nobody listens, and closes out.
func (p stretch) read(ctx context.Context, s source, step time.Duration, out chan<- piece) {
	defer close(out)
	for r, err := range s.Samples(p.from, p.to, step) {
		next := piece{record: r}
		switch {
		case errors.As(err, &next.damage):
		case errors.Is(err, fs.ErrNotExist):
			continue // the oldest made room
		case err != nil:
			next.err = err
		}
		select {
		case out <- next:
		case <-ctx.Done():
			return
		}
	}
}
