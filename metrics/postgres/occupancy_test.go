package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/pgserver"
	"github.com/keda-headroom/headroom/internal/pgserver/pgtest"
	"github.com/keda-headroom/headroom/metrics/postgres"
)

// For random servers, a reading must predict exactly how many more sessions the
// server accepts from a random login. The judge is the server: sessions are
// opened until it refuses.
func TestTheConstraintsPredictWhatTheServerAccepts(t *testing.T) {
	const trials, trialsPerStart = 60, 10
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	server := pgtest.Start(t, map[string]string{"max_connections": "20"})
	pgtest.Exec(t, server, shop...)
	if server.Major() >= 16 {
		pgtest.Exec(t, server, "CREATE ROLE vip LOGIN", "GRANT pg_use_reserved_connections TO vip")
	}
	refusedTrials, fullTrials, reasons := 0, 0, map[string]int{}
	for start := range trials / trialsPerStart {
		w := newWorld(t, server, random)
		for n := range trialsPerStart {
			trial := start*trialsPerStart + n
			outcome := w.try(t)
			if outcome.predicted != outcome.accepted {
				t.Errorf("seed %d, trial %d: predicted %d more sessions, the server accepted %d and then said %q\n%s",
					seed, trial, outcome.predicted, outcome.accepted, outcome.refusal, w.story())
			}
			if outcome.refusedAnyway {
				refusedTrials++
			} else if outcome.predicted == 0 {
				fullTrials++
			}
			reasons[outcome.refusal]++
		}
		w.end()
	}
	t.Logf("%d logins that are refused anyway, %d that met a full limit; refusals: %v", refusedTrials, fullTrials, reasons)
}

// world is one run of a server with its clients.
type world struct {
	server  *pgserver.Server
	random  *rand.Rand
	referee client // a superuser, to change things
	sources map[string]*postgres.Source
	crowd   []client
	did     []string // what led here, for a failure's message
}

// newWorld restarts the server with random limits of its own.
func newWorld(t *testing.T, server *pgserver.Server, random *rand.Rand) *world {
	t.Helper()
	maximum := 8 + random.IntN(14)
	settings := map[string]string{
		"max_connections":                strconv.Itoa(maximum),
		"superuser_reserved_connections": strconv.Itoa(random.IntN(4)),
	}
	if server.Major() >= 16 {
		settings["reserved_connections"] = strconv.Itoa(random.IntN(3))
	}
	if err := server.Restart(deadline(t), settings); err != nil {
		t.Fatal(err)
	}
	w := &world{server: server, random: random, sources: map[string]*postgres.Source{}}
	w.note("server: %v", settings)
	referee, err := dialAs(deadline(t), server.SuperuserDSN(), "", "referee")
	if err != nil {
		t.Fatal(err)
	}
	w.referee = referee
	for _, monitor := range []string{"monitor", "bystander"} {
		source := postgres.Open(postgres.Options{DSN: fixed(server.DSN(monitor, "postgres")), Renew: -1})
		w.sources[monitor] = source
		if d := read(t, source); d.Full {
			t.Fatalf("%s found a full server that has just started", monitor)
		}
	}
	return w
}

func (w *world) end() {
	w.disperse()
	for _, source := range w.sources {
		_ = source.Close()
	}
	w.referee.leave()
}

func (w *world) note(format string, args ...any) { w.did = append(w.did, fmt.Sprintf(format, args...)) }

func (w *world) story() string { return strings.Join(w.did, "\n") }

func (w *world) disperse() {
	for _, c := range w.crowd {
		c.leave()
	}
	w.crowd = nil
}

func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

// someone returns a role of an application or a superuser.
func (w *world) someone() string {
	if w.server.Major() >= 16 {
		return pick(w.random, "worker", "worker", "web", "boss", "vip")
	}
	return pick(w.random, "worker", "worker", "web", "boss")
}

type outcome struct {
	predicted, accepted int
	refusedAnyway       bool
	refusal             string
}

func (w *world) try(t *testing.T) outcome {
	t.Helper()
	w.disperse()
	w.did = w.did[:1]
	change := func(sql string) {
		w.note("%s", sql)
		w.referee.exec(t, sql)
	}
	limit := func() int { return pick(w.random, -1, -1, w.random.IntN(4), w.random.IntN(10)) }
	limitAll := func() {
		change(fmt.Sprintf("ALTER ROLE worker CONNECTION LIMIT %d", limit()))
		change(fmt.Sprintf("ALTER ROLE web CONNECTION LIMIT %d", limit()))
		change(fmt.Sprintf("ALTER ROLE boss CONNECTION LIMIT %d", limit()))
		change(fmt.Sprintf("ALTER DATABASE shop CONNECTION LIMIT %d", limit()))
		change(fmt.Sprintf("ALTER DATABASE audit CONNECTION LIMIT %d", limit()))
	}
	// Limits come before the crowd or after it: then more may be open than they
	// allow.
	limitsFirst := w.random.IntN(2) == 0
	if limitsFirst {
		limitAll()
	}
	for range w.random.IntN(14) {
		user, database := w.someone(), pick(w.random, "shop", "audit", "postgres")
		c, err := dialAs(deadline(t), w.server.DSN(user, database), fmt.Sprintf("127.1.0.%d", 1+w.random.IntN(5)), pick(w.random, "", "api", "jobs"))
		switch {
		case err == nil:
			w.crowd = append(w.crowd, c)
			w.note("a session of %s in %s", user, database)
		case !isFull(err):
			t.Fatal(err)
		}
	}
	if !limitsFirst {
		limitAll()
	}

	user, database := w.someone(), pick(w.random, "shop", "audit")
	restore := ""
	switch w.random.IntN(40) {
	case 0:
		change("ALTER ROLE " + user + " NOLOGIN")
		restore = "ALTER ROLE " + user + " LOGIN"
	case 1:
		change("REVOKE CONNECT ON DATABASE " + database + " FROM PUBLIC")
		restore = "GRANT CONNECT ON DATABASE " + database + " TO PUBLIC"
	case 2:
		change("ALTER DATABASE " + database + " ALLOW_CONNECTIONS false")
		restore = "ALTER DATABASE " + database + " ALLOW_CONNECTIONS true"
	case 3:
		user = "nobody"
	case 4:
		database = "nowhere"
	}

	monitor := pick(w.random, "monitor", "bystander")
	w.note("%s predicts for %s in %s", monitor, user, database)
	w.sources[monitor].SetLogins([]postgres.Login{{User: user, Database: database}})
	d := read(t, w.sources[monitor])
	predicted, ok := d.Free(user, database)
	if !ok {
		t.Fatalf("the reading says nothing of %s in %s: %+v\n%s", user, database, d, w.story())
	}
	login, _ := d.Login(user, database)

	o := outcome{predicted: predicted, refusedAnyway: login.Refused != ""}
	for {
		c, err := dialAs(deadline(t), w.server.DSN(user, database), "127.1.1.1", "")
		if err == nil {
			w.crowd = append(w.crowd, c)
			o.accepted++
			continue
		}
		o.refusal = err.Error()[strings.LastIndex(err.Error(), "FATAL"):]
		// A login that is refused anyway may be told that the server is full first.
		if !o.refusedAnyway && !isFull(err) {
			t.Errorf("the reading says %q, the server %v\n%s", login.Refused, err, w.story())
		}
		break
	}
	if restore != "" {
		change(restore)
	}
	return o
}
