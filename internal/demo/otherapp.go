package demo

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// otherApp is another application on the same server: a web shop, say. It holds
// some connections, now and then wants some more, and opens a short one a few
// times a second. It counts what it does not get.
type otherApp struct {
	dsn     string
	address string // to connect from, "" for any
	events  func(event)

	clients sync.WaitGroup
	cancel  context.CancelFunc
}

// startOtherApp returns once all that it holds is open.
func startOtherApp(ctx context.Context, s scenario, dsn, address string, events func(event)) (*otherApp, error) {
	ctx, cancel := context.WithCancel(ctx)
	a := &otherApp{dsn: dsn, address: address, events: events, cancel: cancel}
	opened := make(chan error, s.otherHeld)
	for range s.otherHeld {
		a.clients.Go(func() {
			conn, err := a.connect(ctx)
			opened <- err
			if err == nil {
				<-ctx.Done()
				a.disconnect(conn)
			}
		})
	}
	var errs []error
	for range s.otherHeld {
		errs = append(errs, <-opened)
	}
	if err := errors.Join(errs...); err != nil {
		a.stop()
		return nil, err
	}
	a.clients.Go(func() { a.knock(ctx, s.shortEvery) })
	return a, nil
}

// stop closes everything and waits until it is closed.
func (a *otherApp) stop() {
	a.cancel()
	a.clients.Wait()
}

// spike holds n more connections for a while, and tries again what is refused.
func (a *otherApp) spike(ctx context.Context, n int, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var clients sync.WaitGroup
	for range n {
		clients.Go(func() {
			for ctx.Err() == nil {
				conn, err := a.connect(ctx)
				if err == nil {
					<-ctx.Done()
					a.disconnect(conn)
					return
				}
				select {
				case <-time.After(500 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	clients.Wait()
}

// knock opens a short connection every so often: a cron job, a health check, a
// pool that grows.
func (a *otherApp) knock(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		conn, err := a.connect(ctx)
		if err != nil {
			continue
		}
		_, err = conn.Exec(ctx, "SELECT 1")
		a.count(ctx, err)
		a.disconnect(conn)
	}
}

func (a *otherApp) connect(ctx context.Context) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(a.dsn)
	if err != nil {
		return nil, errors.New("the other application's DSN can't be read") // the error would quote it
	}
	config.RuntimeParams["application_name"] = "web"
	if a.address != "" {
		config.DialFunc = dialFrom(a.address)
	}
	// Not ctx: an attempt that is cut off may or may not be in the server's log
	// as refused. This one ends soon by itself.
	attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	conn, err := pgx.ConnectConfig(attempt, config)
	a.count(attempt, err)
	return conn, err
}

// count tells of a failure.
func (a *otherApp) count(ctx context.Context, err error) {
	if err == nil || (ctx.Err() != nil && refusals(err) == 0) {
		return
	}
	e := event{Kind: isRefused, At: time.Now(), Count: refusals(err)}
	if e.Count == 0 {
		e.Kind, e.Text = isFailed, err.Error()
	}
	a.events(e)
}

// disconnect ends a session in order.
func (a *otherApp) disconnect(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = conn.Close(ctx) // it is gone either way
}
