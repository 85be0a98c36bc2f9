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

// readMap changes a map, in place, as writeMap's output says.
func readMap[V, T any](r *delta.Reader, codec delta.Codec[T], open func(V) T, close func(T) V, m *map[metrics.ID]V) {
	readMapBut(r, codec, open, close, m, nil)
}

// readMapBut is readMap for all keys but those in passed, whose values it passes over.
func readMapBut[V, T any](r *delta.Reader, codec delta.Codec[T], open func(V) T, close func(T) V, m *map[metrics.ID]V, passed map[metrics.ID]bool) {
	count, ok := r.Count()
	if !ok {
		*m = nil
		return
	}
	if *m == nil {
		*m = map[metrics.ID]V{}
	}
	var value T
	for range count {
		text, removed := r.Key()
		if r.Err() != nil {
			return
		}
		id, err := metrics.ParseID(text)
		if err != nil {
			r.Fail(err)
			return
		}
		if removed {
			delete(*m, id)
			continue
		}
		if passed[id] {
			codec.Skip(r)
			continue
		}
		value = open((*m)[id])
		codec.Read(r, &value)
		(*m)[id] = close(value)
	}
}
