package leader

import (
	"context"
	"log/slog"
)

// debug hands on every line as one of level debug.
type debug struct{ slog.Handler }

// Enabled reports whether lines of level debug are wanted.
func (d debug) Enabled(ctx context.Context, _ slog.Level) bool {
	return d.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle hands a line on.
func (d debug) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return d.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (d debug) WithAttrs(attrs []slog.Attr) slog.Handler { return debug{d.Handler.WithAttrs(attrs)} }

// WithGroup implements [slog.Handler].
func (d debug) WithGroup(name string) slog.Handler { return debug{d.Handler.WithGroup(name)} }
