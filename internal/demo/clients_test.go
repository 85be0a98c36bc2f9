package demo

import (
	"context"
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/fakeaws"
	"github.com/keda-headroom/headroom/internal/pgserver/pgtest"
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
func TestOtherApplicationCounts(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, map[string]string{"max_connections": "8", "superuser_reserved_connections": "2"})
	pgtest.Exec(t, server, "CREATE ROLE web LOGIN")
	s := standard()
	s.otherHeld, s.shortEvery = 4, 20*time.Millisecond
	var told tally
	app, err := startOtherApp(t.Context(), s, server.DSN("web", "postgres"), otherAddress, told.add)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	spiked := make(chan struct{})
	go func() {
		defer close(spiked)
		app.spike(ctx, 4, time.Minute) // 6 slots, 4 of them taken
	}()
	eventually(t, "refusals", func() bool { return told.now().refusals >= 10 })
	stop()
	<-spiked
	app.stop()
	logged, err := server.Refusals()
	if err != nil {
		t.Fatal(err)
	}
	if got := told.now(); got.refusals != logged["web"] || got.failures != 0 {
		t.Errorf("clients counted %+v, the server %v", got, logged)
	}

	// One that can't even open what it holds says so, and leaves nothing open.
	s.otherHeld = 7
	if _, err := startOtherApp(t.Context(), s, server.DSN("web", "postgres"), "", told.add); refusals(err) == 0 {
		t.Errorf("7 connections of 6: %v, want refusals", err)
	}
}

// A worker with a pool larger than the server keeps every message, and counts
// what the server has logged.
func TestWorkerCounts(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, map[string]string{"max_connections": "4", "superuser_reserved_connections": "2"})
	pgtest.Exec(t, server, "CREATE ROLE worker LOGIN", "CREATE SCHEMA run AUTHORIZATION worker",
		"CREATE TABLE run.handled (message text)", "GRANT INSERT ON run.handled TO worker")
	queues := fakeaws.New(fakeaws.Options{Region: queueRegion})
	if _, err := queues.Start(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(queues.Close)
	b, err := newBurst(t.Context(), queues, "orders")
	if err != nil {
		t.Fatal(err)
	}
	const messages = 40
	if err := b.send(t.Context(), messages); err != nil {
		t.Fatal(err)
	}

	var told tally
	read, write := io.Pipe()
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for in := json.NewDecoder(read); ; {
			var e event
			if in.Decode(&e) != nil {
				return
			}
			told.add(e)
		}
	}()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- newWorker(workerConfig{
			DSN: server.DSN("worker", "postgres"), Address: "127.1.0.9", Application: "orders-0", Table: "run.handled",
			Connections: 5, Work: 20 * time.Millisecond, Endpoint: queues.URL(), Region: queueRegion, QueueURL: b.url,
		}, write).run(ctx)
		_ = write.Close() // an io.Pipe: never fails
	}()
	eventually(t, "an empty queue", func() bool { return b.left() == 0 })
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	<-heard
	logged, err := server.Refusals()
	if err != nil {
		t.Fatal(err)
	}
	got := told.now()
	if got.done != messages || got.failures != 0 || got.refusals == 0 || got.refusals != logged["worker"] {
		t.Errorf("the worker counted %+v, the server %v; want %d done, and the same refusals", got, logged, messages)
	}
}
