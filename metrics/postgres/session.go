package postgres

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
)

// session is one connection to a server, and what was learned on it.
type session struct {
	conn     *pgx.Conn
	config   *pgx.ConnConfig // for errors
	timeout  time.Duration   // of one read
	openedAt time.Time

	// mayIdentify is whether our role may ask for the system identifier.
	mayIdentify bool
	// identity of the server at the first read, "" before.
	identity string
}

// open reads the DSN anew, resolves the name anew and connects.
func (s *Source) open(ctx context.Context) (_ *session, err error) {
	text, err := s.options.DSN.Read(ctx)
	if err != nil {
		return nil, &problem{text: "cannot get the DSN from " + s.options.DSN.Origin + ": " + err.Error()}
	}
	config, err := parse(s.options.DSN.Origin, text)
	if err != nil {
		return nil, err
	}
	if config.ConnectTimeout == 0 { // the DSN's own is for one address
		config.ConnectTimeout = s.options.ConnectTimeout
	}
	config.DialFunc = s.dial
	ctx, cancel := context.WithTimeout(ctx, config.ConnectTimeout*time.Duration(1+len(config.Fallbacks))+s.options.ConnectTimeout)
	defer cancel()

	opened := &session{config: config.Copy(), timeout: s.options.Timeout, openedAt: time.Now()}
	if opened.conn, err = pgx.ConnectConfig(ctx, config); err != nil {
		if refusedAsFull(err) {
			return nil, errFull
		}
		return nil, connectTrouble(opened.config, err)
	}
	if err := opened.conn.QueryRow(ctx, mayIdentifySQL).Scan(&opened.mayIdentify); err != nil {
		s.discard(opened)
		return nil, queryTrouble(opened.config, err)
	}
	return opened, nil
}

// discard closes a session. After a failure the driver may still be trying to
// cancel the query in the background; Close waits for that.
func (s *Source) discard(old *session) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = old.conn.Close(ctx) // the server notices either way
	s.cleanups.Go(func() { <-old.conn.PgConn().CleanupDone() })
}

// dial connects so that a dead peer is noticed within half a minute even where
// nothing waits for an answer, and so that nothing outlives the source.
func (s *Source) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := s.alive.Err(); err != nil {
		return nil, err
	}
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &boundConn{Conn: conn, release: context.AfterFunc(s.alive, func() { _ = conn.Close() })}, nil
}

// boundConn is closed by the end of a context, unless it is closed before.
type boundConn struct {
	net.Conn
	release func() bool
}

func (c *boundConn) Close() error {
	c.release()
	return c.Conn.Close()
}
