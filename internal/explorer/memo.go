package explorer

import (
	"encoding/binary"
	"hash/maphash"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keda-headroom/headroom/policy"
)

var seed = maphash.MakeSeed()

// memo is a ledger, kept once however often it comes about.
type memo struct {
	ledger policy.Ledger
	// canonical is what distinguishes it at the time it was last asked.
	canonical atomic.Pointer[canonical]
}

type canonical struct {
	now  int32
	hash uint64
}

// ledgers keeps each ledger once.
type ledgers struct {
	byText sync.Map // string → *memo
}

func (l *ledgers) keep(ledger policy.Ledger) *memo {
	e := encoder{exact: true}
	e.value(reflect.ValueOf(ledger))
	text := string(e.out)
	if known, ok := l.byText.Load(text); ok {
		m, _ := known.(*memo)
		return m
	}
	known, _ := l.byText.LoadOrStore(text, &memo{ledger: ledger})
	m, _ := known.(*memo)
	return m
}

// hash is the same for two ledgers, each at its own time, that make everybody
// decide the same from there on.
func (m *memo) hash(s *Scene, now int32) uint64 {
	if m == nil {
		return 0
	}
	if c := m.canonical.Load(); c != nil && c.now == now {
		return c.hash
	}
	e := encoder{now: at(now), readySeen: s.ByLogin}
	e.value(reflect.ValueOf(m.ledger))
	h := maphash.Bytes(seed, e.out)
	m.canonical.Store(&canonical{now, h})
	return h
}

// encoder writes a ledger as bytes.
//
// Exactly, or by what can make a difference: times as they lie before now, those of
// peaks to ten seconds, as nothing else is told apart by a window of twenty; and
// without what is read only where the state of pods is unknown, or a server is
// full, which happens in no scene.
type encoder struct {
	out       []byte
	exact     bool
	now       time.Time
	readySeen bool
}

var (
	timeType = reflect.TypeFor[time.Time]()
	peakType = reflect.TypeFor[policy.Peak]()
)

// unread are fields that no scene makes anybody read.
var unread = map[string]bool{"Fleet": true, "FleetKnown": true, "Last": true, "Told": true, "Demand": true}

const longAgo = 3 * window

func (e *encoder) time(t time.Time, step time.Duration) {
	switch {
	case t.IsZero():
		e.out = append(e.out, 0)
	case e.exact:
		e.out = binary.AppendVarint(append(e.out, 1), t.Sub(epoch).Nanoseconds())
	default:
		e.out = binary.AppendVarint(append(e.out, 1), int64(min(e.now.Sub(t), longAgo)/step))
	}
}

func (e *encoder) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == timeType {
			t, _ := v.Interface().(time.Time)
			e.time(t, time.Microsecond)
			return
		}
		if v.Type() == peakType && !e.exact {
			p, _ := v.Interface().(policy.Peak)
			e.time(p.Since, window/2)
			e.out = binary.AppendUvarint(e.out, uint64(len(p.Values)))
			for _, x := range p.Values {
				e.time(x.At, window/2)
				e.out = binary.AppendVarint(e.out, int64(x.Value))
			}
			return
		}
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if !e.exact && (unread[name] || name == "ReadySeen" && !e.readySeen) {
				continue
			}
			e.value(v.Field(i))
		}
	case reflect.Map:
		e.sorted(v)
	case reflect.Slice, reflect.Array:
		e.out = binary.AppendUvarint(e.out, uint64(v.Len()))
		for i := range v.Len() {
			e.value(v.Index(i))
		}
	case reflect.Pointer:
		if v.IsNil() {
			e.out = append(e.out, 0)
			return
		}
		e.out = append(e.out, 1)
		e.value(v.Elem())
	case reflect.String:
		e.out = binary.AppendUvarint(e.out, uint64(v.Len()))
		e.out = append(e.out, v.String()...)
	case reflect.Bool:
		if v.Bool() {
			e.out = append(e.out, 1)
		} else {
			e.out = append(e.out, 0)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.out = binary.AppendVarint(e.out, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		e.out = binary.AppendUvarint(e.out, v.Uint())
	case reflect.Float64:
		e.out = binary.LittleEndian.AppendUint64(e.out, uint64(v.Float()*1e6))
	default:
		panic("explorer: a ledger holds a " + v.Kind().String() + ", which can't be written down here")
	}
}

// sorted writes a map in the order of its keys as text.
func (e *encoder) sorted(v reflect.Value) {
	type entry struct {
		key   string
		value reflect.Value
	}
	entries := make([]entry, 0, v.Len())
	for it := v.MapRange(); it.Next(); {
		key := encoder{exact: e.exact, now: e.now}
		key.value(it.Key())
		entries = append(entries, entry{string(key.out), it.Value()})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	e.out = binary.AppendUvarint(e.out, uint64(len(entries)))
	for _, x := range entries {
		e.out = append(e.out, x.key...)
		e.value(x.value)
	}
}
