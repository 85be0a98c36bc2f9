package worker

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/jackc/pgx/v5"

	"github.com/keda-headroom/headroom/internal/fakeaws"
	"github.com/keda-headroom/headroom/internal/pgserver"
	"github.com/keda-headroom/headroom/internal/pgserver/pgtest"
)

// place is a small database and a queue.
type place struct {
	server *pgserver.Server
	queues *fakeaws.Server
	url    string
}

const queueName = "orders"

// newPlace has so many connections for ordinary roles, and so many messages.
func newPlace(t *testing.T, connections, messages int) place {
	t.Helper()
	p := place{server: pgtest.Start(t, map[string]string{
		"max_connections": strconv.Itoa(connections + 2), "superuser_reserved_connections": "2",
	}), queues: fakeaws.New(fakeaws.Options{})}
	pgtest.Exec(t, p.server, "CREATE ROLE worker LOGIN", "CREATE SCHEMA run AUTHORIZATION worker",
		"CREATE TABLE run.handled (message text)", "GRANT INSERT ON run.handled TO worker")
	if _, err := p.queues.Start(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.queues.Close)
	client := sqs.NewFromConfig(p.queues.Config())
	name := queueName
	out, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		t.Fatal(err)
	}
	p.url = *out.QueueUrl
	for i := range messages {
		body := strconv.Itoa(i)
		if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &p.url, MessageBody: &body}); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// config is a worker's, with a pool of so many.
func (p place) config(connections int) Config {
	return Config{
		DSN: p.server.DSN("worker", "postgres"), Address: "127.1.0.9", Application: "orders-0", Table: "run.handled",
		Connections: connections, Work: 20 * time.Millisecond, Endpoint: p.queues.URL(), Region: p.queues.Config().Region,
		AccessKeyID: "test", SecretAccessKey: "test", QueueURL: p.url,
	}
}

// left is how many messages are not deleted.
func (p place) left() int {
	truth, _ := p.queues.Truth(queueName)
	return truth.Visible + truth.InFlight
}

// sessions is how many the server sees from the worker's address.
func (p place) sessions(t *testing.T) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.server.SuperuserDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }() // it was only read
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE client_addr = '127.1.0.9'").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// running is a worker in a goroutine of its own.
type running struct {
	stop  context.CancelFunc
	ended chan error

	mu    sync.Mutex
	kinds map[Kind]int
	texts []string
}

func start(t *testing.T, c Config) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{stop: stop, ended: make(chan error, 1), kinds: map[Kind]int{}}
	go func() {
		r.ended <- Run(ctx, c, func(e Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.kinds[e.Kind] += max(1, e.Count)
			if e.Text != "" {
				r.texts = append(r.texts, e.Text)
			}
		})
		close(r.ended)
	}()
	t.Cleanup(func() {
		stop()
		for range r.ended { // until it is closed
		}
	})
	return r
}

func (r *running) count(k Kind) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kinds[k]
}

// end waits until the worker has ended by itself.
func (r *running) end(t *testing.T) {
	t.Helper()
	select {
	case err := <-r.ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the worker has not ended after a minute")
	}
	if len(r.texts) > 0 {
		t.Errorf("failures: %q", r.texts)
	}
}

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

// A worker with a pool larger than the server keeps every message, and counts
// what the server has logged, whether it opens its pool at once or on demand.
func TestCountsAreTheServers(t *testing.T) {
	for name, eager := range map[string]bool{"on demand": false, "eagerly": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const messages = 40
			p := newPlace(t, 2, messages)
			config := p.config(5)
			config.OpenEagerly = eager
			w := start(t, config)
			eventually(t, "an empty queue", func() bool { return p.left() == 0 })
			w.stop()
			w.end(t)
			logged, err := p.server.Refusals()
			if err != nil {
				t.Fatal(err)
			}
			if w.count(Done) != messages || w.count(Refused) == 0 || w.count(Refused) != logged["worker"] || w.count(Ready) != 1 {
				t.Errorf("the worker counted %v, the server %v; want %d done, and the same refusals", w.kinds, logged, messages)
			}
		})
	}
}

// An eager worker with connections beside its pool holds them all without a
// message, keeps them while it drains, and then none.
func TestHoldsItsConnectionsUntilItHasDrained(t *testing.T) {
	t.Parallel()
	p := newPlace(t, 10, 0)
	config := p.config(3)
	config.OpenEagerly, config.Extra, config.Drain, config.Poll = true, 2, 2*time.Second, 20*time.Second
	w := start(t, config)
	eventually(t, "its connections", func() bool { return p.sessions(t) == 5 })
	eventually(t, "its readiness", func() bool { return w.count(Ready) == 1 })
	w.stop()
	stopped := time.Now()
	if got := p.sessions(t); got != 5 && time.Since(stopped) < config.Drain {
		t.Errorf("%d connections while it drains, want 5", got)
	}
	w.end(t)
	if took := time.Since(stopped); took < config.Drain {
		t.Errorf("it ended after %v, want %v at least", took, config.Drain)
	}
	eventually(t, "no connection", func() bool { return p.sessions(t) == 0 })
}

// A worker that gets no connection at all is not ready, and becomes so when it
// gets one.
func TestIsReadyWithItsFirstConnection(t *testing.T) {
	t.Parallel()
	p := newPlace(t, 1, 1)
	taken, err := pgx.Connect(t.Context(), p.server.DSN("worker", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	config := p.config(2)
	config.OpenEagerly = true
	w := start(t, config)
	eventually(t, "two refusals", func() bool { return w.count(Refused) >= 2 })
	if w.count(Ready) != 0 || p.left() != 1 {
		t.Errorf("%v and %d messages left: want it to wait", w.kinds, p.left())
	}
	if err := taken.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an empty queue", func() bool { return p.left() == 0 })
	w.stop()
	w.end(t)
}

// A Job's worker ends by itself: after its messages, or when there is none.
func TestAJobsWorkerEnds(t *testing.T) {
	t.Parallel()
	p := newPlace(t, 4, 5)
	config := p.config(2)
	config.Messages = 3
	first := start(t, config)
	first.end(t)
	if got := p.left(); got != 2 || first.count(Done) != 3 {
		t.Errorf("%d left after a Job of 3 of 5 messages, %d done", got, first.count(Done))
	}
	second := start(t, config)
	second.end(t)
	if got := p.left(); got != 0 || second.count(Done) != 2 {
		t.Errorf("%d left after a Job of 3 of 2 messages, %d done", got, second.count(Done))
	}
}

func TestConfigThatIsNone(t *testing.T) {
	err := Run(t.Context(), Config{Work: -1, Poll: time.Minute}, func(Event) {})
	if err == nil {
		t.Fatal("it ran")
	}
	for _, want := range []string{"DSN", "connections", "below 0", "queue URL", "region", "20 s"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not speak of %q", err, want)
		}
	}
	err = Run(t.Context(), Config{DSN: "postgres://u:secret@%%", Connections: 1, QueueURL: "q", Region: "r"}, func(Event) {})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v: want an error without the DSN", err)
	}
}
