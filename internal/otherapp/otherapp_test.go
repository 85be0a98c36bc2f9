package otherapp_test

import (
	"context"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/otherapp"
	"github.com/keda-headroom/headroom/internal/pgserver/pgtest"
	"github.com/keda-headroom/headroom/internal/worker"
)

// eventually waits for something that has to come true, however slow the
// machine.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited a minute for %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// What the other application counts is what the server has logged.
func TestCountsAreTheServers(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, map[string]string{"max_connections": "8", "superuser_reserved_connections": "2"})
	pgtest.Exec(t, server, "CREATE ROLE web LOGIN")
	told := make(chan worker.Event, 10000)
	options := otherapp.Options{
		DSN: server.DSN("web", "postgres"), Address: "127.2.0.1", Held: 3, ShortEvery: 20 * time.Millisecond,
		Events: func(e worker.Event) { told <- e },
	}
	app, err := otherapp.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	leaked, spiked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(leaked)
		app.Leak(ctx, 10*time.Millisecond, 1)
	}()
	eventually(t, "a leak", func() bool { return app.Counts().Open >= 4 })
	go func() {
		defer close(spiked)
		app.Spike(ctx, 4, time.Minute) // 6 slots, 4 of them taken
	}()
	eventually(t, "refusals", func() bool { c := app.Counts(); return c.Refused >= 10 && c.ShortRefused > 0 })
	stop()
	<-leaked
	<-spiked
	eventually(t, "short connections again", func() bool { c := app.Counts(); return c.Short > c.ShortRefused })
	app.Stop()
	logged, err := server.Refusals()
	if err != nil {
		t.Fatal(err)
	}
	close(told)
	events := 0
	for e := range told {
		events += e.Count
	}
	got := app.Counts()
	if got.Refused != logged["web"] || got.Failures != 0 || events != got.Refused {
		t.Errorf("it counted %+v and told of %d refusals, the server logged %v", got, events, logged)
	}
	if got.Open != 0 || got.Attempts <= got.Refused || got.Short <= got.ShortRefused {
		t.Errorf("%+v: want none open, and more attempts than refusals", got)
	}

	// One that can't even open what it holds says so, and leaves nothing open.
	options.Held, options.Events = 7, nil
	if _, err := otherapp.Start(t.Context(), options); worker.Refusals(err) == 0 {
		t.Errorf("7 connections of 6: %v, want refusals", err)
	}
}

// After a restart of the server all that it held is opened again.
func TestWhatIsLostIsOpenedAgain(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, map[string]string{"max_connections": "12", "superuser_reserved_connections": "2"})
	pgtest.Exec(t, server, "CREATE ROLE web LOGIN")
	app, err := otherapp.Start(t.Context(), otherapp.Options{DSN: server.DSN("web", "postgres"), Held: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer app.Stop()
	spiked := make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		defer close(spiked)
		app.Spike(ctx, 2, time.Hour)
	}()
	eventually(t, "a spike", func() bool { return app.Counts().Open == 5 })
	attempts := app.Counts().Attempts
	if err := server.Restart(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "five new connections", func() bool {
		c := app.Counts()
		return c.Open == 5 && c.Attempts >= attempts+5
	})
	stop()
	<-spiked
	eventually(t, "the end of the spike", func() bool { return app.Counts().Open == 3 })
}
