package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/keda-headroom/headroom/internal/kedaapi"
)

// watched lists and watches one kind of object for a Reflector, and knows at any
// time whether its watch is open. A cache doesn't age by itself, and a Reflector
// doesn't say that what it has written is not kept up to date any more.
type watched struct {
	kind  string // "pods", as the API's paths name it
	group string // "keda.sh", "" for the core API
	list  func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error)
	log   *slog.Logger
	// current is called when the table has become what the API server has.
	current func()

	mu      sync.Mutex
	whole   bool      // the table holds all that the open watch began from
	open    *open     // the watch, nil where there is none
	expired time.Time // what began up to then doesn't count
	err     error     // of the last attempt to list or watch
	logged  string    // the problem that was logged last, "" after it was over
}

// List lists for who has no context.
func (w *watched) List(options metav1.ListOptions) (runtime.Object, error) {
	return w.ListWithContext(context.Background(), options)
}

// Watch watches for who has no context.
func (w *watched) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return w.WatchWithContext(context.Background(), options)
}

// ListWithContext lists the objects.
func (w *watched) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	list, err := w.list(ctx, options)
	if err != nil && ctx.Err() == nil {
		w.failed(err)
	}
	return list, err
}

// WatchWithContext opens a watch. Where options ask for it the watch begins with
// all objects there are.
func (w *watched) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	for {
		began := time.Now()
		fromStart := options.SendInitialEvents != nil && *options.SendInitialEvents
		opened, err := w.watch(ctx, options)
		if err != nil {
			// Some API servers can't begin a watch with all objects: they are listed.
			if ctx.Err() == nil && !(fromStart && apierrors.IsInvalid(err)) {
				w.failed(err)
			}
			return nil, err
		}
		if o := w.opened(opened, began, fromStart); o != nil {
			return o, nil
		}
		opened.Stop()
	}
}

// opened notes a watch, and whether it begins with all objects there are. It
// returns nil where the watch began too long ago to count.
func (w *watched) opened(opened watch.Interface, began time.Time, fromStart bool) *open {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !began.After(w.expired) {
		return nil
	}
	w.open, w.err = &open{Interface: opened, of: w, began: began}, nil
	w.whole = w.whole && !fromStart
	w.progressed()
	return w.open
}

// open is a watch that says when it ends.
type open struct {
	watch.Interface
	of    *watched
	began time.Time
}

// Stop ends the watch. A Reflector calls it also when the server ended it.
func (o *open) Stop() {
	o.of.mu.Lock()
	if o.of.open == o {
		o.of.open = nil
	}
	o.of.mu.Unlock()
	o.Interface.Stop()
}

// expire ends a watch that began up to a time; the Reflector opens another.
func (w *watched) expire(failed time.Time) {
	w.mu.Lock()
	w.expired = failed
	o := w.open
	w.mu.Unlock()
	if o != nil && !o.began.After(failed) {
		o.Stop()
	}
}

// filled notes that the table holds all objects there are.
func (w *watched) filled() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.whole = true
	w.progressed()
}

// failed notes why the last attempt failed. The caller doesn't hold the lock.
func (w *watched) failed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
	if problem := w.problem().Error(); w.logged != problem {
		w.logged = problem
		w.log.Warn("watching Kubernetes fails", "kind", w.kind, "problem", problem)
	}
}

// progressed tells everybody where the table has become what the API server has.
// The caller holds the lock.
func (w *watched) progressed() {
	if !w.whole || w.open == nil {
		return
	}
	if w.logged != "" {
		w.logged = ""
		w.log.Info("watching Kubernetes works again", "kind", w.kind)
	}
	w.current()
}

// live reports whether the table is what the API server has.
func (w *watched) live() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.whole && w.open != nil
}

// refused returns why the API server doesn't let us watch these objects, nil
// where it does or doesn't answer. Only somebody who changes the cluster can
// change that: waiting is no use, and other kinds are not concerned.
func (w *watched) refused() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil && (apierrors.IsForbidden(w.err) || apierrors.IsNotFound(w.err) || apierrors.IsMethodNotSupported(w.err)) {
		return w.problem()
	}
	return nil
}

// why says why the table isn't live. It is never empty.
func (w *watched) why() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.err != nil:
		return w.problem().Error()
	case !w.whole:
		return fmt.Sprintf("the list of %s is not complete yet", w.resource())
	default:
		return fmt.Sprintf("the watch of %s is not open", w.resource())
	}
}

// problem puts the last failure in words. The caller holds the lock.
func (w *watched) problem() error {
	switch {
	case apierrors.IsNotFound(w.err) && w.group == kedaapi.Group:
		return fmt.Errorf("the API server has no %s/v1alpha1: is KEDA installed?", w.resource())
	case apierrors.IsNotFound(w.err):
		return fmt.Errorf("the API server has no %s", w.resource())
	case apierrors.IsForbidden(w.err):
		return fmt.Errorf("needs permission to list and watch %s in all namespaces: %s", w.resource(), said(w.err))
	}
	return fmt.Errorf("listing and watching %s: %w", w.resource(), withoutURL(w.err))
}

// resource names the kind as RBAC does: "scaledobjects.keda.sh".
func (w *watched) resource() string {
	if w.group == "" {
		return w.kind
	}
	return w.kind + "." + w.group
}

// withoutURL leaves out the URL of a request: it is long, and never the same.
func withoutURL(err error) error {
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// said returns the API server's own words.
func said(err error) string {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return status.Status().Message
	}
	return err.Error()
}
