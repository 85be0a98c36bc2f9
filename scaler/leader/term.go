package leader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// term is one candidacy, and what comes of it. It is the lock that client-go's
// election sees, between it and the Lease, because the election doesn't tell when
// a renewal began, and because it would go on where a term has to be over:
//
//   - where the lease was deleted, it makes a new one under the old identity,
//     though others may have led and gone in between;
//   - where another one leads, it waits for that one to fall silent, and takes the
//     lease again under the old identity;
//   - where it failed to renew in time, it would release a lease that whatever acts
//     under it may still count on.
//
// A term that was acquired is over as soon as the lease is seen not to be its own.
// From then on nothing more is written for it.
type term struct {
	leader   *Leader
	lock     *resourcelock.LeaseLock
	identity string
	run      context.Context // of [Leader.Run]
	ctx      context.Context // of the candidacy
	end      context.CancelCauseFunc

	acquired chan struct{}             // closed when the lease is this term's
	renewed  atomic.Pointer[time.Time] // when the last write that succeeded began
	ready    atomic.Pointer[time.Time] // when the takeover was done

	mu   sync.Mutex // one request at a time: the lock keeps the last answer
	over bool       // nothing more is written
}

var _ resourcelock.Interface = (*term)(nil)

// errOver is why nothing more is written.
var errOver = errors.New("this term is over")

// fresh reports whether the lease is surely this term's for a while: whoever takes
// it for free waits from a later time on, and for longer.
func (t *term) fresh() bool {
	if t.leader.options.Alone {
		return t.holds() && t.ctx.Err() == nil
	}
	began := t.renewed.Load()
	return began != nil && t.ctx.Err() == nil && time.Since(*began) < t.leader.options.RenewDeadline
}

// holds reports whether the lease was acquired.
func (t *term) holds() bool { return t.renewed.Load() != nil }

// acquire notes a write that succeeded.
func (t *term) acquire(began time.Time) {
	if t.renewed.Swap(&began) == nil {
		t.leader.holder.Store(&t.identity)
		t.leader.once.Do(func() { close(t.leader.led) })
		close(t.acquired)
	}
}

// timeout bounds one request, so that one that hangs doesn't cost the lease.
func (t *term) timeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, max(time.Second, t.leader.options.RenewDeadline/2))
}

// answered says whether the API server was heard of in time.
func (t *term) answered(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.leader.options.Unanswered()
	}
	return err
}

// Get reads the lease, and ends the term where it is seen to be another's.
func (t *term) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.get(ctx)
}

func (t *term) get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	if t.over {
		return nil, nil, errOver
	}
	limited, cancel := t.timeout(ctx)
	defer cancel()
	record, raw, err := t.lock.Get(limited)
	if err != nil {
		return nil, nil, t.answered(limited, err)
	}
	holder := record.HolderIdentity
	if holder != "" {
		t.leader.holder.Store(&holder)
	}
	_, formerly := t.leader.ours.Load(holder)
	switch {
	case holder == t.identity:
	case holder != "" && !formerly && t.leader.hasLed():
		t.stop(&Lost{Holder: podOf(holder)})
		return nil, nil, errOver
	case t.holds():
		t.stop(fmt.Errorf("the lease is held by %q", holder))
		return nil, nil, errOver
	case formerly:
		// An earlier term of this process is over for good: nobody needs to wait for
		// it to fall silent.
		record.HolderIdentity = ""
		if raw, err = json.Marshal(record); err != nil {
			return nil, nil, err
		}
	}
	return record, raw, nil
}

// stop ends the term. The caller holds mu.
func (t *term) stop(why error) {
	t.over = true
	t.leader.log.Warn("this term is over", "term", t.identity, "why", why.Error())
	t.end(why)
}

// Create makes the lease, for the first time or where it was deleted.
func (t *term) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.holds() && !t.over {
		t.stop(errors.New("the lease was deleted: others may have led since"))
	}
	return t.write(ctx, record, t.lock.Create)
}

// Update acquires the lease, renews it, or lets it go.
func (t *term) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if record.HolderIdentity != "" {
		return t.write(ctx, record, t.lock.Update)
	}
	if t.run.Err() == nil || t.over {
		return errOver
	}
	t.over = true
	limited, cancel := t.timeout(ctx)
	defer cancel()
	return t.answered(limited, t.lock.Update(limited, record))
}

// write sends the lease, and notes when that began. The caller holds mu.
func (t *term) write(ctx context.Context, record resourcelock.LeaderElectionRecord, send func(context.Context, resourcelock.LeaderElectionRecord) error) error {
	if t.over {
		return errOver
	}
	limited, cancel := t.timeout(ctx)
	defer cancel()
	began := time.Now()
	if err := t.answered(limited, send(limited, record)); err != nil {
		return err
	}
	t.acquire(began)
	return nil
}

// confirm reads the lease, see [Leader.Confirm].
func (t *term) confirm(ctx context.Context) error {
	if t.leader.options.Alone {
		return nil
	}
	// Not by the lock, which keeps what was read for its next write.
	o := t.leader.options
	limited, cancel := t.timeout(ctx)
	defer cancel()
	lock := &resourcelock.LeaseLock{LeaseMeta: t.lock.LeaseMeta, Client: t.lock.Client}
	record, _, err := lock.Get(limited)
	if err != nil {
		return fmt.Errorf("lease %s/%s: %w", o.Namespace, o.LeaseName, t.answered(limited, err))
	}
	if record.HolderIdentity == t.identity {
		return nil
	}
	err = fmt.Errorf("lease %s/%s: expected it to be held by %q, found %q", o.Namespace, o.LeaseName, t.identity, record.HolderIdentity)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.over {
		if record.HolderIdentity != "" {
			t.leader.holder.Store(&record.HolderIdentity)
			err = errors.Join(err, &Lost{Holder: podOf(record.HolderIdentity)})
		}
		t.stop(err)
	}
	return err
}

// RecordEvent does nothing: who leads is logged.
func (t *term) RecordEvent(string) {}

// Identity is the term's.
func (t *term) Identity() string { return t.identity }

// Describe names the lease.
func (t *term) Describe() string { return t.lock.Describe() }

// hasLed reports whether this process ever led.
func (l *Leader) hasLed() bool {
	select {
	case <-l.led:
		return true
	default:
		return false
	}
}
