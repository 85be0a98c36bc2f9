package otherapp

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keda-headroom/headroom/internal/worker"
)

// retry is how long a connection that was refused waits before its next attempt.
const retry = 500 * time.Millisecond

// Options say how another application behaves.
type Options struct {
	// DSN of its role and database. It is never quoted in an error.
	DSN string
	// Address to connect from, "" for any.
	Address string
	// Name is the application_name of its sessions, "" for "web".
	Name string
	// Held is how many connections it keeps open all the time. Those that the
	// server closes are opened again.
	Held int
	// ShortEvery is how often it opens a short connection: a cron job, a health
	// check, a pool that grows; 0 for never.
	ShortEvery time.Duration
	// Events is told of every refusal and failure, from several goroutines; nil
	// for nobody.
	Events func(worker.Event)
}

// App is another application. Its methods may be called from several
// goroutines.
type App struct {
	options Options
	ctx     context.Context // of what it does until Stop
	cancel  context.CancelFunc
	clients sync.WaitGroup

	mu     sync.Mutex
	counts Counts
}

// Counts are what an application has met since its start.
type Counts struct {
	// Attempts are logins begun and ended, whatever their end; Refused of them
	// were refused because something was full, Failures failed in another way.
	Attempts, Refused, Failures int
	// Short of the attempts were short connections, ShortRefused of them refused.
	Short, ShortRefused int
	// Open connections at this moment.
	Open int
}

// Start returns once all that it holds is open.
func Start(ctx context.Context, o Options) (*App, error) {
	if o.Name == "" {
		o.Name = "web"
	}
	a := &App{options: o}
	a.ctx, a.cancel = context.WithCancel(ctx)
	opened := make(chan error, o.Held)
	for range o.Held {
		a.clients.Go(func() {
			conn, err := a.connect(a.ctx)
			opened <- err
			if err == nil {
				a.keep(a.ctx, conn)
				a.hold(a.ctx) // what was lost is opened again
			}
		})
	}
	var errs []error
	for range o.Held {
		errs = append(errs, <-opened)
	}
	if err := errors.Join(errs...); err != nil {
		a.Stop()
		return nil, err
	}
	if o.ShortEvery > 0 {
		a.clients.Go(a.knock)
	}
	return a, nil
}

// Stop closes everything, a spike and a leak too, and waits until it is closed.
func (a *App) Stop() {
	a.cancel()
	a.clients.Wait()
}

// Counts returns what it has met so far.
func (a *App) Counts() Counts {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts
}

// Spike holds n more connections for d, tries again what is refused, and returns
// when they are closed, before d if ctx ends.
func (a *App) Spike(ctx context.Context, n int, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	defer context.AfterFunc(a.ctx, cancel)()
	var clients sync.WaitGroup
	for range n {
		clients.Go(func() { a.hold(ctx) })
	}
	clients.Wait()
}

// Leak opens one more connection every so often, at most so many, and closes
// none before ctx ends or the application is stopped. It tries again what is
// refused, and returns when all are closed.
func (a *App) Leak(ctx context.Context, every time.Duration, most int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.ctx, cancel)()
	var clients sync.WaitGroup
	defer clients.Wait()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for range most {
		clients.Go(func() { a.hold(ctx) })
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
	<-ctx.Done()
}

// hold opens one connection, however often it is refused or lost, and closes it
// when ctx ends.
func (a *App) hold(ctx context.Context) {
	for ctx.Err() == nil {
		conn, err := a.connect(ctx)
		if err == nil {
			a.keep(ctx, conn)
			continue
		}
		timer := time.NewTimer(retry)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// keep keeps a connection open until ctx ends or the server closes it.
func (a *App) keep(ctx context.Context, conn *pgx.Conn) {
	for ctx.Err() == nil {
		// Nobody notifies: it returns when the connection has ended.
		if err := conn.PgConn().WaitForNotification(ctx); err != nil {
			break
		}
	}
	a.disconnect(conn)
}

// knock opens short connections.
func (a *App) knock() {
	ticker := time.NewTicker(a.options.ShortEvery)
	defer ticker.Stop()
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-ticker.C:
		}
		conn, err := a.connect(a.ctx)
		a.mu.Lock()
		a.counts.Short++
		a.counts.ShortRefused += worker.Refusals(err)
		a.mu.Unlock()
		if err != nil {
			continue
		}
		if _, err = conn.Exec(a.ctx, "SELECT 1"); err != nil && a.ctx.Err() == nil {
			a.fail(err)
		}
		a.disconnect(conn)
	}
}

func (a *App) connect(ctx context.Context) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(a.options.DSN)
	if err != nil {
		return nil, errors.New("the other application's DSN can't be read") // the error would quote it
	}
	config.RuntimeParams["application_name"] = a.options.Name
	if a.options.Address != "" {
		config.DialFunc = worker.DialFrom(a.options.Address)
	}
	// Not ctx: an attempt that is cut off may or may not be in the server's log
	// as refused. This one ends soon by itself.
	attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	conn, err := pgx.ConnectConfig(attempt, config)
	a.mu.Lock()
	a.counts.Attempts++
	if err == nil {
		a.counts.Open++
	}
	a.mu.Unlock()
	if err != nil {
		a.fail(err)
	}
	return conn, err
}

// fail counts and tells of an error.
func (a *App) fail(err error) {
	e := worker.Failure(err)
	a.mu.Lock()
	if e.Kind == worker.Refused {
		a.counts.Refused += e.Count
	} else {
		a.counts.Failures++
	}
	a.mu.Unlock()
	if a.options.Events != nil {
		a.options.Events(e)
	}
}

// disconnect ends a session in order.
func (a *App) disconnect(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = conn.Close(ctx) // it is gone either way
	a.mu.Lock()
	a.counts.Open--
	a.mu.Unlock()
}
