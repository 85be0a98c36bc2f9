package explorer

import (
	"encoding/binary"
	"hash/maphash"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keda-headroom/headroom/policy"
)

var seed = maphash.MakeSeed()

// memo is a ledger, kept once however often it comes about.
type memo struct {
	ledger policy.Ledger
	// What can make a difference of it: a text with its times taken out, and those
	// times in the order of the text. Of the fine ones it matters which was first,
	// of the coarse ones only how long ago they are.
	text         uint64
	fine, coarse []int32
}

// latest is the last of the times that matter by their order.
func (m *memo) latest() int32 {
	if m == nil || len(m.fine) == 0 {
		return 0
	}
	return slices.Max(m.fine)
}

// ledgers keeps each ledger once.
type ledgers struct {
	byText  sync.Map // string → *memo
	byLogin bool
	steady  bool // no reading grows too old
}

func (l *ledgers) keep(ledger policy.Ledger) *memo {
	exact := encoder{exact: true}
	exact.value(reflect.ValueOf(ledger))
	text := string(exact.out)
	if known, ok := l.byText.Load(text); ok {
		m, _ := known.(*memo)
		return m
	}
	e := encoder{byLogin: l.byLogin, steady: l.steady}
	e.value(reflect.ValueOf(ledger))
	known, _ := l.byText.LoadOrStore(text, &memo{ledger: ledger, text: maphash.Bytes(seed, e.out), fine: e.fine, coarse: e.coarse})
	m, _ := known.(*memo)
	return m
}

// encoder writes a ledger as bytes: exactly, or what can make a difference of it.
type encoder struct {
	out          []byte
	exact        bool
	byLogin      bool
	steady       bool
	fine, coarse []int32
}

var (
	timeType = reflect.TypeFor[time.Time]()
	peakType = reflect.TypeFor[policy.Peak]()
)

// unread are fields that no scene makes anybody read: what is held while the state
// of pods is unknown or a server is full, what Target told, and a demand that
// doesn't change, and what objectives need. Rollouts and others' windows are told apart by seconds.
var (
	unread  = map[string]bool{"Fleet": true, "FleetKnown": true, "Last": true, "Told": true, "Demand": true, "Standstill": true, "Flow": true}
	carried = map[string]bool{"Carried": true, "CarriedKnown": true, "CarriedGrants": true}
	rarely  = map[string]bool{"PassedSeen": true, "GatedSince": true}
)

func (e *encoder) time(t time.Time, coarse bool) {
	switch {
	case t.IsZero():
		e.out = append(e.out, 0)
	case e.exact:
		e.out = binary.AppendVarint(append(e.out, 1), t.Sub(epoch).Nanoseconds())
	case coarse:
		e.out = append(e.out, 2)
		e.coarse = append(e.coarse, int32(t.Sub(epoch).Milliseconds()))
	default:
		e.out = append(e.out, 3)
		e.fine = append(e.fine, int32(t.Sub(epoch).Milliseconds()))
	}
}

func (e *encoder) structure(v reflect.Value) {
	if v.Type() == timeType {
		t, _ := v.Interface().(time.Time)
		e.time(t, false)
		return
	}
	if v.Type() == peakType && !e.exact {
		p, _ := v.Interface().(policy.Peak)
		e.time(p.Since, true)
		e.out = binary.AppendUvarint(e.out, uint64(len(p.Values)))
		for _, x := range p.Values {
			e.time(x.At, true)
			e.out = binary.AppendVarint(e.out, int64(x.Value))
		}
		return
	}
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch {
		case !e.exact && (unread[name] || e.steady && carried[name]):
		case !e.exact && (rarely[name] || name == "ReadySeen" && !e.byLogin):
			t, _ := v.Field(i).Interface().(time.Time)
			e.time(t, true)
		default:
			e.value(v.Field(i))
		}
	}
}

func (e *encoder) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		e.structure(v)
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

// sorted writes a map in the order of its keys.
func (e *encoder) sorted(v reflect.Value) {
	type entry struct {
		key   string
		value reflect.Value
	}
	entries := make([]entry, 0, v.Len())
	for it := v.MapRange(); it.Next(); {
		key := encoder{exact: true}
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
