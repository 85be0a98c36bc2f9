package postgres_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/keda-headroom/headroom/internal/pgserver"
	"github.com/keda-headroom/headroom/metrics/postgres"
)

// How our own login fares: one server for all, whose access rules grow.
func TestOurOwnLogin(t *testing.T) {
	server := shopServer(t, nil)
	referee := connect(t, server.SuperuserDSN(), "", "")
	for _, c := range []struct {
		name string
		test func(*testing.T, *pgserver.Server, client)
	}{
		{"is refused for reasons that are explained", testRefusedLogins},
		{"follows a rotated DSN", testARotatedDSN},
		{"meets a full server over TLS", testFullBehindALaterRefusal},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, server, referee) })
	}
}

func testARotatedDSN(t *testing.T, server *pgserver.Server, referee client) {
	const firstSecret, secondSecret = "first/S3CRET@", "second S3CRET?#"
	referee.exec(t, "ALTER ROLE monitor PASSWORD '"+firstSecret+"'")
	access(t, referee, "host all monitor 127.0.0.0/8 scram-sha-256\n")

	kv := func(secret string) string {
		host, port, _ := strings.Cut(server.Addr(), ":")
		return fmt.Sprintf("host=%s port=%s user=monitor dbname=shop sslmode=disable password='%s'\n", host, port, secret)
	}
	path := file(t, kv(firstSecret))
	source := open(t, postgres.Options{DSN: postgres.FromFile(path)})
	read(t, source)

	// A session outlives its password; a new one needs the new one.
	referee.exec(t, "ALTER ROLE monitor PASSWORD '"+secondSecret+"'")
	read(t, source)
	referee.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'headroom'")
	message := failed(t, source)
	expectWords(t, message, "28P01", "password is wrong", server.Addr())
	if strings.Contains(message, "S3CRET") {
		t.Errorf("the password is in the error %q", message)
	}
	replace(t, path, kv(secondSecret))
	read(t, source)

	t.Setenv("HEADROOM_TEST_DSN", kv(secondSecret))
	read(t, open(t, postgres.Options{DSN: postgres.FromEnvironment("HEADROOM_TEST_DSN")}))
}

// access puts lines before those of pg_hba.conf.
func access(t testing.TB, referee client, lines string) {
	t.Helper()
	path := referee.text(t, "SHOW hba_file")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, path, lines+string(before))
	if n := referee.number(t, "SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL"); n != 0 {
		t.Fatalf("%d errors in pg_hba.conf", n)
	}
	reload(t, referee)
}

// reload makes the server read its configuration, and waits until it has.
func reload(t testing.TB, referee client) {
	t.Helper()
	before := referee.text(t, "SELECT pg_conf_load_time()::text")
	referee.exec(t, "SELECT pg_reload_conf()")
	until(t, "the configuration is loaded", func() bool {
		// A session loads it by itself, between two queries; the postmaster, which
		// decides on logins, was first.
		return referee.text(t, "SELECT pg_conf_load_time()::text") != before
	})
}

func testRefusedLogins(t *testing.T, server *pgserver.Server, referee client) {
	referee.exec(t, "REVOKE CONNECT ON DATABASE audit FROM PUBLIC")
	for dsn, words := range map[string][]string{
		server.DSN("gone", "shop"):                                              {"28000", "there is no such role", `user "gone"`},
		server.DSN("monitor", "gone"):                                           {"3D000", "no such database", `database "gone"`},
		server.DSN("monitor", "audit"):                                          {"42501", "CONNECT"},
		server.DSN("monitor", "shop") + "&nonsense=1":                           {"42704", "does not know"},
		server.DSN("monitor", "shop") + "&work_mem=soap":                        {"22023", "own log"},
		strings.Replace(server.DSN("monitor", "shop"), "disable", "require", 1): {"does not do TLS"},
		pgserver.DSN("headroom.invalid:5432", "monitor", "shop"):                {"headroom.invalid", "DNS"},
		"host=/nowhere user=monitor dbname=shop":                                {"/nowhere", "no such socket"},
	} {
		expectWords(t, failed(t, open(t, postgres.Options{DSN: fixed(dsn)})), append(words, "cannot connect to PostgreSQL at ")...)
	}

	// The file or the variable is missing.
	missing := t.TempDir() + "/missing"
	expectWords(t, failed(t, open(t, postgres.Options{DSN: postgres.FromFile(missing)})), "cannot get the DSN from file "+missing, "no such file")
	expectWords(t, failed(t, open(t, postgres.Options{DSN: postgres.FromEnvironment("HEADROOM_TEST_UNSET")})), "environment variable HEADROOM_TEST_UNSET", "not set")
	huge := file(t, strings.Repeat("x", 1<<20))
	expectWords(t, failed(t, open(t, postgres.Options{DSN: postgres.FromFile(huge)})), huge, "more than 65536 bytes")
}

// A server that wants TLS and is full: the driver is refused with 53300, tries
// without TLS, and is told by pg_hba.conf that this is not allowed. The first
// answer is the one that counts.
func testFullBehindALaterRefusal(t *testing.T, server *pgserver.Server, referee client) {
	authority := serveTLS(t, referee)
	access(t, referee, "hostssl all monitor 127.0.0.0/8 trust\nhostnossl all monitor 127.0.0.0/8 reject\n")

	prefer := strings.Replace(server.DSN("monitor", "shop"), "sslmode=disable", "sslmode=prefer", 1)
	verify := strings.Replace(server.DSN("monitor", "shop"), "sslmode=disable", "sslmode=verify-full&sslrootcert="+authority, 1)
	read(t, open(t, postgres.Options{DSN: fixed(verify)}))
	waiting := open(t, postgres.Options{DSN: fixed(prefer)})

	expectWords(t, failed(t, open(t, postgres.Options{DSN: fixed(server.DSN("monitor", "shop"))})), "28000", "pg_hba.conf", "sslmode=require")
	unknown := strings.Replace(verify, "verify-full", "verify-ca", 1)
	unknown = strings.Replace(unknown, authority, file(t, string(newCertificate(t).certificate)), 1)
	expectWords(t, failed(t, open(t, postgres.Options{DSN: fixed(unknown)})), "not trusted", "sslrootcert")
	misnamed := strings.Replace(verify, "127.0.0.1", "localhost", 1)
	expectWords(t, failed(t, open(t, postgres.Options{DSN: fixed(misnamed)})), "localhost", "certificate is for another name")

	referee.exec(t, "ALTER ROLE monitor CONNECTION LIMIT 0")
	if d := read(t, waiting); !d.Full {
		t.Errorf("read %+v, expected Full", d)
	}
}
