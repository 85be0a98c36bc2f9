package postgres

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// Options say what to read and how patiently.
type Options struct {
	// DSN is where to connect to, and as whom.
	DSN DSN
	// Logins are those whose limits are wanted; see [Source.SetLogins].
	Logins []Login
	// ConnectTimeout bounds a connection to one address, unless the DSN has a
	// connect_timeout. 0 means 5 s.
	ConnectTimeout time.Duration
	// Timeout bounds one read, on the server too. 0 means 5 s. The context of a
	// read may be shorter.
	Timeout time.Duration
	// Renew is the age at which the session is replaced by a new one, so that a
	// name that now leads to another server is noticed though the old one still
	// runs, and so that a rotated DSN is used. 0 means 30 s, a negative value
	// never. A server that is nearly full is left alone: the slot might be
	// somebody's.
	Renew time.Duration
}

// Login is a user of a database. A database of "" means the one of the DSN.
type Login struct {
	User     string
	Database string
}

// ErrClosed is returned by Read after Close.
var ErrClosed = errors.New("the source of PostgreSQL readings is closed")

// errFull is an open that was refused because no slot was free for us.
var errFull = errors.New("no slot is free")

// spareForRenewal is how many slots must be free for our own login before a
// second session of ours may take one of them for a moment.
const spareForRenewal = 2

// Source reads one database server. Its methods may be called concurrently;
// reads wait for each other.
type Source struct {
	options Options
	logins  atomic.Pointer[[]Login]

	alive    context.Context // ends with Close
	end      context.CancelFunc
	reading  context.Context // ends when Close begins
	stop     context.CancelFunc
	cleanups sync.WaitGroup

	turn    chan struct{} // holds one token, taken while session is used
	session *session      // nil where there is none
}

// Open returns a source that has not connected yet. Read it soon, so that its
// session exists when the server fills.
func Open(options Options) *Source {
	options.ConnectTimeout = positive(options.ConnectTimeout, 5*time.Second)
	options.Timeout = positive(options.Timeout, 5*time.Second)
	if options.Renew == 0 {
		options.Renew = 30 * time.Second
	}
	s := &Source{options: options, turn: make(chan struct{}, 1)}
	s.alive, s.end = context.WithCancel(context.Background())
	s.reading, s.stop = context.WithCancel(s.alive)
	s.SetLogins(options.Logins)
	return s
}

func positive(value, otherwise time.Duration) time.Duration {
	if value <= 0 {
		return otherwise
	}
	return value
}

// SetLogins says from the next read on which logins' limits are wanted. Order
// and repetition do not matter.
func (s *Source) SetLogins(logins []Login) {
	logins = slices.SortedFunc(slices.Values(logins), func(a, b Login) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Database, b.Database))
	})
	logins = slices.Compact(logins)
	s.logins.Store(&logins)
}

// Read returns the server's connections now. A server that refuses our own login
// because it is full is a reading: Full, and nothing else.
//
// A session that broke since the last read is replaced at once. One that leads
// to a server in recovery, or to another server than before, is reported as it
// is and replaced with the next read, from a DSN read anew and a name resolved
// anew.
//
// The error names the server and says what to do; it never holds a password. It
// wraps at most context.Canceled or context.DeadlineExceeded.
func (s *Source) Read(ctx context.Context) (metrics.Database, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.reading, cancel)()

	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
	}
	if s.reading.Err() != nil {
		return metrics.Database{}, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return metrics.Database{}, &problem{text: "PostgreSQL was not read: the time was up before it began", cause: err}
	}
	database, err := s.read(ctx)
	switch {
	case errors.Is(err, errFull):
		return metrics.Database{Full: true}, nil
	case err != nil && s.reading.Err() != nil:
		return metrics.Database{}, ErrClosed
	}
	return database, err
}

// read is Read with the turn taken.
func (s *Source) read(ctx context.Context) (metrics.Database, error) {
	logins := *s.logins.Load()
	found, err := s.ask(ctx, logins)
	if err != nil {
		return metrics.Database{}, err
	}
	before := s.session.identity
	s.session.identity = found.server.identity
	moved := before != "" && before != found.server.identity // behind a pooler
	switch {
	case moved || found.server.recovering:
		s.drop()
	case s.shouldRenew(found):
		return s.renew(ctx, logins, found)
	}
	return found.reading(found.logins), nil
}

// ask asks on the kept session, and on a new one where there is none or it was
// lost. After an error there is no session.
func (s *Source) ask(ctx context.Context, logins []Login) (facts, error) {
	if kept := s.session; kept != nil {
		found, err := kept.ask(ctx, logins)
		if err == nil {
			return found, nil
		}
		s.drop()
		if !sessionLost(err) || ctx.Err() != nil {
			return facts{}, queryTrouble(kept.config, err)
		}
	}
	fresh, found, err := s.openAndAsk(ctx, logins)
	if err != nil {
		return facts{}, err
	}
	s.session = fresh
	return found, nil
}

func (s *Source) openAndAsk(ctx context.Context, logins []Login) (*session, facts, error) {
	fresh, err := s.open(ctx)
	if err != nil {
		return nil, facts{}, err
	}
	found, err := fresh.ask(ctx, logins)
	if err != nil {
		s.discard(fresh)
		return nil, facts{}, queryTrouble(fresh.config, err)
	}
	return fresh, found, nil
}

func (s *Source) shouldRenew(found facts) bool {
	if s.options.Renew < 0 || time.Since(s.session.openedAt) < s.options.Renew {
		return false
	}
	free, ok := found.reading([]loginFacts{found.own}).Free(found.own.user, found.own.database)
	return ok && free >= spareForRenewal
}

// renew opens a session anew and lets go of the kept one, which has just read
// found. While that fails, the kept one stays, because it holds a slot, but its
// readings are not trusted: it may be on a server that the name has left. So a
// refusal for lack of a slot, when found shows free ones, is believed.
func (s *Source) renew(ctx context.Context, logins []Login, found facts) (metrics.Database, error) {
	fresh, anew, err := s.openAndAsk(ctx, logins)
	if err != nil {
		return metrics.Database{}, err
	}
	s.drop()
	if anew.server.identity != found.server.identity {
		found = anew // else found is the better one: anew counts us twice
	}
	fresh.identity = found.server.identity
	s.session = fresh
	if found.server.recovering {
		s.drop()
	}
	return found.reading(found.logins), nil
}

// drop lets go of the kept session.
func (s *Source) drop() {
	s.discard(s.session)
	s.session = nil
}

// Close ends a read that is under way, with ErrClosed, and the session. It
// returns when nothing of the source is left running. Further calls do nothing.
// The error is always nil.
func (s *Source) Close() error {
	s.stop()
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.session != nil {
		s.drop()
	}
	s.end()
	s.cleanups.Wait()
	return nil
}
