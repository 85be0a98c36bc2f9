package kube

import (
	"context"
	"fmt"
	"reflect"
	"time"
	"unique"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// How long a list or a watch that failed waits before it is tried again.
const (
	firstRetry = 200 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// byController is the index of rows by the UID of the object that controls them.
const byController = "controller"

// row is what a table keeps of one object.
type row[T any] struct {
	namespace  unique.Handle[string]
	name, uid  string
	controller unique.Handle[string] // UID of the controlling owner, or ""
	value      T
}

// GetObjectMeta names the object for client-go's stores, which ask for nothing
// else. It is made for each question, because it is larger than most rows.
func (r *row[T]) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Namespace: r.namespace.Value(), Name: r.name, UID: types.UID(r.uid)}
}

func (r *row[T]) key() string { return r.namespace.Value() + "/" + r.name }

// table holds all objects of one kind, of each no more than project makes of it.
// A Reflector writes into it, anybody may read. Rows never change.
type table[T any] struct {
	*watched
	expected any
	rows     cache.Indexer
	project  func(object any) (T, error)
	// same reports whether a row became another that is as good. Like changed it is
	// set before the table is used.
	same func(before, after *row[T]) bool
	// changed is told of each row that came, went or became another.
	changed func(before, after *row[T])
}

// newTable returns an empty table of the objects that watched delivers, which are
// of the type that expected has.
func newTable[T any](w *watched, expected any, project func(object any) (T, error), indexers cache.Indexers) *table[T] {
	t := &table[T]{watched: w, expected: expected, project: project, changed: func(_, _ *row[T]) {}}
	t.same = func(before, after *row[T]) bool { return reflect.DeepEqual(before, after) }
	all := cache.Indexers{byController: func(object any) ([]string, error) {
		if uid := object.(*row[T]).controller.Value(); uid != "" {
			return []string{uid}, nil
		}
		return nil, nil
	}}
	for name, index := range indexers {
		all[name] = index
	}
	t.rows = cache.NewIndexer(func(object any) (string, error) { return object.(*row[T]).key(), nil }, all)
	return t
}

// run keeps the table up to date until ctx ends.
func (t *table[T]) run(ctx context.Context) {
	quiet := logr.Discard() // watched logs what goes wrong, once
	cache.NewReflectorWithOptions(t.watched, t.expected, t, cache.ReflectorOptions{
		Logger: &quiet,
		Name:   t.kind,
		Backoff: &wait.Backoff{
			Duration: firstRetry, Cap: lastRetry, Factor: 2, Jitter: 0.5, Steps: int(lastRetry / firstRetry),
		},
	}).RunWithContext(klog.NewContext(ctx, quiet))
}

// row makes a row of an object; of a row it makes that row.
func (t *table[T]) row(object any) (*row[T], error) {
	if made, ok := object.(*row[T]); ok {
		return made, nil
	}
	about, err := meta.Accessor(object)
	if err != nil {
		return nil, fmt.Errorf("%s: expected an object of the API, found %T: %w", t.kind, object, err)
	}
	value, err := t.project(object)
	if err != nil {
		return nil, fmt.Errorf("%s %s/%s: %w", t.kind, about.GetNamespace(), about.GetName(), err)
	}
	r := &row[T]{
		namespace: unique.Make(about.GetNamespace()), name: about.GetName(), uid: string(about.GetUID()),
		controller: unique.Make(controllerOf(about)), value: value,
	}
	return r, nil
}

// Transformer makes rows of objects as they are decoded, so that a list of all
// pods is never in memory as it came.
func (t *table[T]) Transformer() cache.TransformFunc {
	return func(object any) (any, error) { return t.row(object) }
}

// Add puts an object in.
func (t *table[T]) Add(object any) error {
	after, err := t.row(object)
	if err != nil {
		return err
	}
	before, _ := t.get(after.namespace.Value(), after.name)
	if err := t.rows.Update(after); err != nil {
		return err
	}
	if before == nil || !t.same(before, after) {
		t.changed(before, after)
	}
	return nil
}

// Update puts an object in the place of an earlier version.
func (t *table[T]) Update(object any) error { return t.Add(object) }

// Delete takes an object out.
func (t *table[T]) Delete(object any) error {
	about, err := meta.Accessor(object)
	if err != nil {
		return fmt.Errorf("%s: expected an object of the API, found %T: %w", t.kind, object, err)
	}
	before, ok := t.get(about.GetNamespace(), about.GetName())
	if !ok {
		return nil
	}
	if err := t.rows.Delete(before); err != nil {
		return err
	}
	t.changed(before, nil)
	return nil
}

// Replace makes the table hold these objects and nothing else.
func (t *table[T]) Replace(objects []any, version string) error {
	rows := make([]any, 0, len(objects))
	gone := make(map[string]*row[T])
	for _, before := range t.all() {
		gone[before.key()] = before
	}
	type change struct{ before, after *row[T] }
	var changes []change
	for _, object := range objects {
		after, err := t.row(object)
		if err != nil {
			return err
		}
		rows = append(rows, after)
		before := gone[after.key()]
		delete(gone, after.key())
		if before == nil || !t.same(before, after) {
			changes = append(changes, change{before, after})
		}
	}
	if err := t.rows.Replace(rows, version); err != nil {
		return err
	}
	for _, c := range changes {
		t.changed(c.before, c.after)
	}
	for _, before := range gone {
		t.changed(before, nil)
	}
	t.filled()
	return nil
}

// Resync does nothing: no row waits for anything.
func (t *table[T]) Resync() error { return nil }

// get returns a row by its name.
func (t *table[T]) get(namespace, name string) (*row[T], bool) {
	return t.keyed(namespace + "/" + name)
}

// keyed returns a row by its key.
func (t *table[T]) keyed(key string) (*row[T], bool) {
	found, ok, err := t.rows.GetByKey(key)
	if err != nil || !ok {
		return nil, false
	}
	return found.(*row[T]), true
}

// controlled returns the rows that the object with this UID controls.
func (t *table[T]) controlled(uid string) []*row[T] { return t.index(byController, uid) }

// index returns the rows that have value in an index.
func (t *table[T]) index(name, value string) []*row[T] {
	found, err := t.rows.ByIndex(name, value)
	if err != nil {
		panic(err) // an index that was never made
	}
	out := make([]*row[T], len(found))
	for i, object := range found {
		out[i] = object.(*row[T])
	}
	return out
}

// all returns every row, in no order.
func (t *table[T]) all() []*row[T] {
	found := t.rows.List()
	out := make([]*row[T], len(found))
	for i, object := range found {
		out[i] = object.(*row[T])
	}
	return out
}
