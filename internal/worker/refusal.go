package worker

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// tooManyConnections is the SQLSTATE of every refusal because something is
// full, whatever its text.
const tooManyConnections = "53300"

// Refusals counts the refused connections in an error: one login may try
// several addresses, and each attempt is a refusal of its own in the server's
// log. It looks at every error of the tree.
func Refusals(err error) int {
	if err == nil {
		return 0
	}
	switch e := err.(type) { //nolint:errorlint // errors.As would stop at the first of several
	case *pgconn.PgError:
		if e.Code == tooManyConnections {
			return 1
		}
		return 0
	case interface{ Unwrap() []error }:
		n := 0
		for _, inner := range e.Unwrap() {
			n += Refusals(inner)
		}
		return n
	case interface{ Unwrap() error }:
		return Refusals(e.Unwrap())
	}
	return 0
}

// LoginTracer tells of every attempt to log in that failed, of those too that a
// pool makes by itself and whose errors nobody else sees.
type LoginTracer struct {
	// Failed is called with each, from several goroutines.
	Failed func(error)
}

// TraceConnectStart belongs to pgx.ConnectTracer.
func (t LoginTracer) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	return ctx
}

// TraceConnectEnd belongs to pgx.ConnectTracer.
func (t LoginTracer) TraceConnectEnd(_ context.Context, data pgx.TraceConnectEndData) {
	if data.Err != nil && !errors.Is(data.Err, context.Canceled) {
		t.Failed(data.Err)
	}
}

// TraceQueryStart belongs to pgx.QueryTracer, which a connection's tracer has to
// be; queries are not traced.
func (t LoginTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd belongs to pgx.QueryTracer.
func (t LoginTracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
