package memory

import (
	"bytes"
	"context"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/scaler"
)

// How often it is looked whether something is to be written, how long a write may
// take, and how often other installations are looked for.
const (
	lookEvery   = time.Second
	writeWithin = 10 * time.Second
	othersEvery = 10 * time.Minute
)

// Run writes what is worth remembering of state, which is [scaler.Planner.State],
// until ctx ends, and then once more. It is called once, after Load.
func (s *Store) Run(ctx context.Context, state func() *scaler.State) {
	look := time.NewTicker(min(lookEvery, s.options.RiseInterval))
	defer look.Stop()
	var looked time.Time
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWithin)
			defer cancel()
			s.write(last, state(), true)
			return
		case <-look.C:
		}
		current := state()
		s.write(ctx, current, false)
		if servers := serversOf(current); len(servers) > 0 && time.Since(looked) > othersEvery {
			looked = time.Now()
			s.attempt(ctx, func(ctx context.Context) error { return s.warn(ctx, servers) })
		}
	}
}

// write writes what has changed enough, or everything that has changed at all.
func (s *Store) write(ctx context.Context, state *scaler.State, everything bool) {
	if !state.Planned() || !s.options.Leads() {
		return
	}
	now := time.Now()
	current := s.current(state)
	for id, next := range current {
		before, known := s.written[id]
		due := s.options.PlanInterval
		if !known || next.record.rises(before.record) {
			due = s.options.RiseInterval
		}
		if known && !everything && now.Sub(before.at) < due || known && next.same(before) || ctx.Err() != nil {
			continue
		}
		next.at = now // also where it fails: the API server is not asked more often
		if s.attempt(ctx, func(ctx context.Context) (err error) {
			next.left, err = s.save(ctx, next)
			return err
		}) {
			if next.left != "" && next.left != before.left {
				s.options.Log.Warn("a memory object would be too large, and is written without a part", "database", id.String(), "without", next.left)
			}
			s.written[id] = next
		} else {
			before.at = now
			s.written[id] = before
		}
	}
	for id := range s.written {
		if _, described := current[id]; described {
			continue
		}
		if s.attempt(ctx, func(ctx context.Context) error { return s.drop(ctx, id) }) {
			delete(s.written, id)
		}
	}
}

// same reports whether two versions of an object say the same, whenever they were
// written.
func (w written) same(other written) bool {
	if w.plan != other.plan {
		return false
	}
	w.record.Written = other.record.Written
	a, _, err := encode(w.record)
	b, _, otherErr := encode(other.record)
	if err != nil || otherErr != nil || !bytes.Equal(a, b) {
		return false
	}
	a, _, err = encodeQueues(w.record.queues)
	b, _, otherErr = encodeQueues(other.record.queues)
	return err == nil && otherErr == nil && bytes.Equal(a, b)
}

// attempt does something with the API server in bounded time. A problem is
// logged once while it lasts.
func (s *Store) attempt(ctx context.Context, do func(context.Context) error) bool {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	err := do(ctx)
	switch {
	case err == nil:
		s.problem = ""
		return true
	case ctx.Err() == nil || s.problem == "":
		if text := err.Error(); text != s.problem {
			s.problem = text
			s.options.Log.Warn("memory can't be written: a restart now would forget what was seen since", "problem", text)
		}
	}
	return false
}

// serversOf returns one database of each server that is known.
func serversOf(state *scaler.State) map[string]metrics.ID {
	out := map[string]metrics.ID{}
	for _, d := range state.Decisions {
		for _, p := range d.Plan.Databases {
			if p.Server != "" {
				out[p.Server] = p.ID
			}
		}
	}
	return out
}
