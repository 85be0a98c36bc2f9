package delta_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/scaler/recording/delta"
)

// everything has a field of each kind that can be recorded.
type everything struct {
	Bool     bool                          `json:"bool"`
	Int      int                           `json:"int"`
	Short    int8                          `json:"short"`
	Uint     uint32                        `json:"uint"`
	Float    float64                       `json:"float"`
	Text     string                        `json:"text"`
	Duration time.Duration                 `json:"duration"`
	Surge    intorpercent.Value            `json:"surge"`
	Time     time.Time                     `json:"time"`
	Pointer  *int                          `json:"pointer"`
	Deep     *element                      `json:"deep"`
	Elements []element                     `json:"elements"`
	Words    []string                      `json:"words"`
	Rows     [][]string                    `json:"rows"`
	Grants   map[string]map[metrics.ID]int `json:"grants"`
	ByID     map[metrics.ID]element        `json:"byID"`
	Untagged int
}

type element struct {
	ID    metrics.ID `json:"id"`
	Count int        `json:"count"`
	At    time.Time  `json:"at"`
}

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func random(r *rand.Rand) everything {
	e := everything{
		Bool: r.IntN(2) == 0, Int: r.IntN(5), Short: int8(r.IntN(256) - 128), Uint: r.Uint32(),
		Float: []float64{0, 1, -1.5, math.Inf(1), math.MaxFloat64}[r.IntN(5)], Text: word(r),
		Duration: time.Duration(r.Int64()), Surge: intorpercent.Percent(r.IntN(3)), Time: moment(r), Untagged: r.IntN(3),
	}
	if r.IntN(2) == 0 {
		n := r.IntN(3)
		e.Pointer = &n
	}
	if r.IntN(2) == 0 {
		d := someElement(r)
		e.Deep = &d
	}
	if r.IntN(4) > 0 {
		e.Elements = []element{}
		for range r.IntN(6) {
			e.Elements = append(e.Elements, someElement(r))
		}
	}
	for range r.IntN(4) {
		e.Words = append(e.Words, word(r))
	}
	for range r.IntN(6) {
		var row []string
		for range r.IntN(6) {
			row = append(row, word(r))
		}
		e.Rows = append(e.Rows, row)
	}
	if r.IntN(4) > 0 {
		e.Grants = map[string]map[metrics.ID]int{}
		for range r.IntN(4) {
			inner := map[metrics.ID]int{}
			for range r.IntN(3) {
				inner[someID(r)] = r.IntN(3)
			}
			e.Grants[word(r)] = inner
		}
	}
	if r.IntN(4) > 0 {
		e.ByID = map[metrics.ID]element{}
		for range r.IntN(4) {
			e.ByID[someID(r)] = someElement(r)
		}
	}
	return e
}

func word(r *rand.Rand) string { return []string{"", "a", "ghost", "ß\x00\xff"}[r.IntN(4)] }

func someID(r *rand.Rand) metrics.ID {
	return metrics.ID{Namespace: "shop", Name: string(rune('a' + r.IntN(4)))}
}

func someElement(r *rand.Rand) element {
	return element{ID: someID(r), Count: r.IntN(3), At: moment(r)}
}

func moment(r *rand.Rand) time.Time {
	return []time.Time{{}, epoch, epoch.Add(-time.Second), epoch.Add(time.Nanosecond), time.Unix(1, 0).UTC(), time.Date(9999, 1, 1, 0, 0, 0, 7, time.UTC)}[r.IntN(6)]
}

func codec[T any](t *testing.T) (delta.Codec[T], delta.Schema, string) {
	t.Helper()
	var schema delta.Schema
	text, err := schema.Add(reflect.TypeFor[T]())
	if err != nil {
		t.Fatal(err)
	}
	c, err := delta.Compile[T](schema, text)
	if err != nil {
		t.Fatal(err)
	}
	return c, schema, text
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	c, _, _ := codec[everything](t)
	r := rand.New(rand.NewPCG(1, 2))
	var w delta.Writer
	var reader delta.Reader
	var before, read everything
	for i := range 4_000 {
		at := epoch.Add(time.Duration(i) * time.Second)
		after := random(r)
		if r.IntN(3) == 0 {
			after = before // nothing changed
		}
		w.Begin(at)
		c.Write(&w, &before, &after)
		record, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if c.Equal(&before, &after) && len(record) != 1 {
			t.Fatalf("nothing changed, and yet %d bytes were written", len(record))
		}
		old := asJSON(t, read)
		kept := read
		readBack(t, i, &reader, record, at, c, &read, after)
		if asJSON(t, kept) != old {
			t.Fatalf("record %d changed the value before it", i)
		}
		before = after
	}
}

// readBack reads a record over what was read before it, and expects what was written.
func readBack(t *testing.T, i int, reader *delta.Reader, record []byte, at time.Time, c delta.Codec[everything], read *everything, want everything) {
	t.Helper()
	reader.Begin(record, at)
	c.Read(reader, read)
	if err := reader.End(); err != nil {
		t.Fatalf("record %d: %v", i, err)
	}
	if diff := cmp.Diff(want, *read, cmp.AllowUnexported(intorpercent.Value{})); diff != "" {
		t.Fatalf("record %d (- written, + read):\n%s", i, diff)
	}
}

// With Reuse a copy that was taken before it was called stays what it is, whatever is
// read in place after.
func TestReuse(t *testing.T) {
	c, _, _ := codec[everything](t)
	r := rand.New(rand.NewPCG(1, 3))
	var w delta.Writer
	var reader delta.Reader
	var before, read, kept everything
	keptText := asJSON(t, kept)
	reader.Reuse()
	for i := range 4_000 {
		at := epoch.Add(time.Duration(i) * time.Second)
		after := random(r)
		if r.IntN(2) == 0 { // one row or element more, or fewer
			after = before
			after.Rows, after.Elements = edited(r, before.Rows, []string{word(r)}), edited(r, before.Elements, someElement(r))
		}
		w.Begin(at)
		c.Write(&w, &before, &after)
		record, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		readBack(t, i, &reader, record, at, c, &read, after)
		if asJSON(t, kept) != keptText {
			t.Fatalf("record %d changed a value that was kept", i)
		}
		if r.IntN(8) == 0 {
			kept, keptText = read, asJSON(t, read)
			reader.Reuse()
		}
		before = after
	}
}

// edited is a copy of a list with an element more, fewer or changed.
func edited[T any](r *rand.Rand, list []T, element T) []T {
	list = slices.Clone(list)
	at := r.IntN(len(list) + 1)
	if at == len(list) || r.IntN(2) == 0 {
		return slices.Insert(list, at, element)
	}
	if r.IntN(2) == 0 {
		list[at] = element
		return list
	}
	return slices.Delete(list, at, at+1)
}

func asJSON(t *testing.T, e everything) string {
	t.Helper()
	if math.IsInf(e.Float, 0) {
		e.Float = 17
	}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOnlyTimePassingIsNotMaterial(t *testing.T) {
	c, _, _ := codec[element](t)
	var w delta.Writer
	a := element{ID: metrics.ID{Namespace: "shop", Name: "a"}, Count: 3, At: epoch}
	later, more, never := a, a, a
	later.At, more.Count, never.At = epoch.Add(time.Hour), 4, time.Time{}
	for name, step := range map[string]struct {
		new  element
		want bool
	}{"a later time": {later, false}, "another number": {more, true}, "no time at all": {never, true}} {
		w.Begin(epoch)
		c.Write(&w, &a, &step.new)
		if w.Material != step.want {
			t.Errorf("%s: material is %t, expected %t", name, w.Material, step.want)
		}
	}
}

// A fleet rolls: one pod in the middle goes, one comes at the end. What stays is
// not written again.
func TestASliceKeepsBothEnds(t *testing.T) {
	c, _, _ := codec[[]string](t)
	var long []string
	for range 1000 {
		long = append(long, "a worker pod with a long name")
	}
	long[500] = "goes"
	shorter := append(append([]string{}, long[:500]...), long[501:]...)
	var w delta.Writer
	w.Begin(epoch)
	c.Write(&w, &long, &shorter)
	if record, _ := w.Bytes(); len(record) > 8 {
		t.Errorf("removing one of 1000 takes %d bytes, expected at most 8", len(record))
	}
}

func TestEqualTimesAreWrittenOnce(t *testing.T) {
	c, _, _ := codec[[]time.Time](t)
	var none []time.Time
	many := make([]time.Time, 100)
	for i := range many {
		many[i] = epoch.Add(123456789)
	}
	var w delta.Writer
	w.Begin(epoch)
	c.Write(&w, &none, &many)
	if record, _ := w.Bytes(); len(record) > 120 {
		t.Errorf("100 equal times take %d bytes, expected at most 120", len(record))
	}
}

// The recording was made by a version whose type had more fields, fewer, and in
// another order.
func TestAnotherVersionReadsIt(t *testing.T) {
	type then struct {
		Gone  map[string][]element `json:"gone"`
		Count int                  `json:"count"`
		Name  string               `json:"name"`
	}
	type now struct {
		Name  string `json:"name"`
		Extra string `json:"extra"`
		Count int64  `json:"count"`
	}
	write, schema, text := codec[then](t)
	read, err := delta.Compile[now](schema, text)
	if err != nil {
		t.Fatal(err)
	}
	var w delta.Writer
	var r delta.Reader
	var before then
	var got now
	for i, after := range []then{
		{Gone: map[string][]element{"a": {{Count: 1, At: epoch}}}, Count: 1, Name: "x"},
		{Gone: map[string][]element{"b": {{Count: 1, At: epoch}, {Count: 2}}}, Count: 2, Name: "x"},
		{Count: 2, Name: "y"},
	} {
		w.Begin(epoch)
		write.Write(&w, &before, &after)
		record, _ := w.Bytes()
		r.Begin(record, epoch)
		read.Read(&r, &got)
		if err := r.End(); err != nil {
			t.Fatal(err)
		}
		if want := (now{Name: after.Name, Count: int64(after.Count)}); got != want {
			t.Errorf("record %d: %+v, expected %+v", i, got, want)
		}
		before = after
	}
}

func TestAnotherKindIsRefused(t *testing.T) {
	type then struct {
		Count int `json:"count"`
	}
	type now struct {
		Count string `json:"count"`
	}
	_, schema, text := codec[then](t)
	_, err := delta.Compile[now](schema, text)
	if err == nil || !strings.Contains(err.Error(), "field count of delta_test.then: it was recorded as int, and this version expects string") {
		t.Errorf("unexpected: %v", err)
	}
}

func TestWhatCannotBeRecordedIsRefused(t *testing.T) {
	type private struct{ secret int } //nolint:unused // being unexported is what matters
	type loop struct {
		Next *loop
	}
	for _, typ := range []reflect.Type{
		reflect.TypeFor[private](), reflect.TypeFor[loop](), reflect.TypeFor[chan int](), reflect.TypeFor[any](), reflect.TypeFor[map[int]int](),
	} {
		var schema delta.Schema
		if text, err := schema.Add(typ); err == nil {
			t.Errorf("%s became %q, expected an error", typ, text)
		}
	}
}

func FuzzReadNeverPanics(f *testing.F) {
	var schema delta.Schema
	text, err := schema.Add(reflect.TypeFor[everything]())
	if err != nil {
		f.Fatal(err)
	}
	whole, err := delta.Compile[everything](schema, text)
	if err != nil {
		f.Fatal(err)
	}
	passing, err := delta.Compile[struct{}](schema, text)
	if err != nil {
		f.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	var w delta.Writer
	for range 10 {
		var zero everything
		value := random(r)
		w.Begin(epoch)
		whole.Write(&w, &zero, &value)
		record, _ := w.Bytes()
		f.Add(append([]byte{}, record...))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		var value everything
		var nothing struct{}
		var a, b delta.Reader
		a.Begin(record, epoch)
		whole.Read(&a, &value)
		b.Begin(record, epoch)
		passing.Read(&b, &nothing)
		if a.End() == nil && b.End() != nil {
			t.Errorf("it can be read but not passed over: %v", b.End())
		}
	})
}
