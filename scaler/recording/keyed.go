package recording

import (
	"slices"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/scaler/recording/delta"
)

// reading is a metrics.Reading with its parts in the open.
type reading[T any] struct {
	Known   bool      `json:"known"`
	Value   T         `json:"value"`
	Began   time.Time `json:"beganAt"`
	Problem string    `json:"problem"`
}

func opened[T any](r metrics.Reading[T]) reading[T] {
	value, known := r.Last()
	return reading[T]{Known: known, Value: value, Began: r.Began(), Problem: r.Problem()}
}

func closed[T any](r reading[T]) metrics.Reading[T] {
	if !r.Known {
		return metrics.Unknown[T](r.Problem)
	}
	return metrics.Known(r.Value, r.Began).Failed(r.Problem)
}

func same[T any](v T) T { return v }

// writeMap appends what leads from one map to another, as package delta writes
// maps. open makes of a value what the codec is for.
func writeMap[V, T any](w *delta.Writer, codec delta.Codec[T], open func(V) T, old, new map[metrics.ID]V) {
	if (old == nil) != (new == nil) {
		w.Material = true
	}
	if new == nil {
		w.Uint(0)
		return
	}
	var changed []metrics.ID
	for id, v := range new {
		before, ok := old[id]
		if ok {
			a, b := open(before), open(v)
			ok = codec.Equal(&a, &b)
		}
		if !ok {
			changed = append(changed, id)
		}
	}
	for id := range old {
		if _, ok := new[id]; !ok {
			changed = append(changed, id)
		}
	}
	slices.SortFunc(changed, metrics.ID.Compare)
	w.Uint(uint64(len(changed)) + 1)
	for _, id := range changed {
		after, ok := new[id]
		w.Key(id.String(), !ok)
		if !ok {
			continue
		}
		before, ok := old[id]
		a, b := open(before), open(after)
		w.Material = w.Material || !ok
		codec.Write(w, &a, &b)
	}
}

// part is one of the maps of a group's records as it is being read. A value stays as
// the codec reads it until somebody wants to see it: most change again before.
type part[V, T any] struct {
	codec delta.Codec[T]
	close func(T) V
	// own is whether what close makes of a value refers to no memory of the value, which
	// the next one may be read into then.
	own   bool
	slots []*slot[T] // by the reference of their key; nil where the map never had it
	stale []*slot[T] // have changed since the map was brought up to date
}

// slot is the place of one key.
type slot[T any] struct {
	id           metrics.ID
	value        T
	there, stale bool
	// given is whether whoever reads has no use for more of it.
	given bool
}

// read takes in what writeMap wrote. Until update, m lacks what changed.
func (p *part[V, T]) read(r *delta.Reader, m *map[metrics.ID]V) {
	count, ok := r.Count()
	if !ok {
		for _, s := range p.slots {
			s.empty()
		}
		*m = nil
		return
	}
	if *m == nil {
		*m = map[metrics.ID]V{}
	}
	for range count {
		ref, removed := r.KeyRef()
		s := p.slot(r, ref)
		switch {
		case s == nil:
			return
		case removed:
			s.empty()
			delete(*m, s.id)
		case s.given:
			p.codec.Skip(r)
		default:
			if p.own {
				p.codec.ReadOwn(r, &s.value)
			} else {
				p.codec.Read(r, &s.value)
			}
			if s.there = true; !s.stale {
				s.stale = true
				p.stale = append(p.stale, s)
			}
		}
	}
}

// slot returns the place of a key, nil where there can't be one.
func (p *part[V, T]) slot(r *delta.Reader, ref int) *slot[T] {
	if r.Err() != nil {
		return nil
	}
	if ref >= len(p.slots) {
		p.slots = append(p.slots, make([]*slot[T], ref+1-len(p.slots))...)
	}
	if p.slots[ref] == nil {
		id, err := metrics.ParseID(r.KeyText(ref))
		if err != nil {
			r.Fail(err)
			return nil
		}
		p.slots[ref] = &slot[T]{id: id}
	}
	return p.slots[ref]
}

func (s *slot[T]) empty() {
	if s != nil {
		*s = slot[T]{id: s.id, given: s.given}
	}
}

// update brings the map up to date.
func (p *part[V, T]) update(m map[metrics.ID]V) {
	for _, s := range p.stale {
		if s.stale {
			m[s.id] = p.close(s.value)
			s.stale = false
		}
	}
	p.stale = p.stale[:0]
}

// give passes over from now on what becomes of the values that there are.
func (p *part[V, T]) give() {
	for _, s := range p.slots {
		if s != nil && s.there {
			*s = slot[T]{id: s.id, there: true, given: true}
		}
	}
}
