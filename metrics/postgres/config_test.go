package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

const secret = "S3CRETpassw0rd"

// Whatever is wrong with a DSN, the error says what was expected, where it came
// from, and nothing of the DSN.
func TestMalformedDSNs(t *testing.T) {
	for dsn, means := range map[string]string{
		"": "it is empty",
		"postgres://monitor:" + secret + "/x@db:5432/shop":                      "there is an @ where none can be",
		"postgres://monitor:12/" + secret + "@db:5432/shop":                     "there is an @ where none can be",
		"postgres://monitor:12#" + secret + "/@db:5432/shop":                    "there is an @ where none can be",
		"postgres://monitor:x@" + secret + "@db:5432/shop":                      "there is an @ where none can be",
		"postgres://monitor:" + secret + "%zz@db/shop":                          "% must be written %25",
		"postgres://monitor:" + secret + "@db:port/shop":                        "port is not a number",
		"postgres://monitor:" + secret + "@db:99999/shop":                       "port is not a number",
		"postgres://monitor:" + secret + " x@db/shop":                           "%20",
		"postgres://monitor:" + secret + "\x00@db/shop":                         "NUL",
		"postgres://monitor:" + secret + "@db/shop?sslmode=" + secret:           "sslmode disable, allow",
		"postgres://monitor:" + secret + "@db/shop?sslrootcert=/no/" + secret:   "sslrootcert",
		"postgres://monitor:" + secret + "@db/shop?target_session_attrs=slave":  "read-write",
		"postgres://monitor:" + secret + "@db/shop?connect_timeout=" + secret:   "connect_timeout",
		"postgres://monitor:" + secret + "@a,b/shop?port=1,2,3":                 "one port for all hosts",
		"postgres://monitor:" + secret + "@db/shop?default_query_exec_mode=fly": "not allowed",
		"jdbc:postgresql://monitor:" + secret + "@db/shop":                      "scheme",
		"mysql://monitor:" + secret + "@db/shop":                                "scheme",
		"host=db user=monitor password=half " + secret:                          "single quotes",
		"host=db user=monitor password='" + secret:                              "single quotes",
		"host=db user=monitor password=x " + secret + " y=1":                    "single quotes",
		"monitor:" + secret + "@db/shop":                                        "single quotes",
		"host=db service=" + secret + " password=" + secret:                     "service",
	} {
		_, err := parse("file /etc/headroom/orders", dsn)
		if err == nil {
			t.Errorf("%q was accepted", dsn)
			continue
		}
		shown := fmt.Sprintf("%v %+v %#v %q", err, err, err, errors.Unwrap(err))
		for _, word := range []string{means, "file /etc/headroom/orders", "postgres://USER:PASSWORD@HOST"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q: expected %q in the error %q", dsn, word, err)
			}
		}
		if strings.Contains(shown, secret) {
			t.Errorf("%q: the password is in the error %s", dsn, shown)
		}
	}
}

func TestWellFormedDSNs(t *testing.T) {
	for dsn, at := range map[string]string{
		"postgres://monitor:p%40ss%2Fword@db:5433/shop":           `PostgreSQL at db:5433 (user "monitor", database "shop")`,
		"postgresql://monitor@[::1]/shop?sslmode=disable":         `PostgreSQL at [::1]:5432 (user "monitor", database "shop")`,
		"postgres://monitor:x@a,b:6432/?target_session_attrs=any": `PostgreSQL at a:5432, b:6432 (user "monitor", database "monitor")`,
		"host=db user=monitor password='it is long' dbname=shop":  `PostgreSQL at db:5432 (user "monitor", database "shop")`,
	} {
		config, err := parse("the test", dsn)
		if err != nil {
			t.Errorf("%s: %v", dsn, err)
			continue
		}
		if got := where(config); got != at {
			t.Errorf("%s: %s, expected %s", dsn, got, at)
		}
	}
}

// What the driver would say of a failed connection holds whatever it took for
// the host, the user and the database; ours must not hold the password, neither
// a whole one nor one that the DSN failed to quote.
func FuzzParse(f *testing.F) {
	for _, around := range [][2]string{{"", ""}, {"a@b", ""}, {"/", "?"}, {"%", ""}, {"12/", "@x"}, {"' ", "'"}, {"#", "\n"}, {"[", "]"}} {
		f.Add(around[0], around[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		planted := before + secret + after
		for _, dsn := range []string{
			"postgres://monitor:" + planted + "@db:5432/shop",
			"postgres://monitor:" + url.QueryEscape(planted) + "@db:5432/shop?sslmode=disable",
			"host=db user=monitor password=" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, " ", `\ `).Replace(planted) + " dbname=shop",
			planted,
			before,
		} {
			config, err := parse("the test", dsn)
			if err != nil {
				if strings.Contains(err.Error(), secret) {
					t.Fatalf("%q: the password is in the error %q", dsn, err)
				}
				continue
			}
			if !strings.HasPrefix(dsn, "postgres://monitor:") {
				continue // then nothing says that the planted text was meant as a password
			}
			refused := &pgconn.PgError{Severity: "FATAL", Code: "28P01", Message: "role " + secret}
			for _, err := range []error{connectTrouble(config, refused), connectTrouble(config, errors.New("driver: "+config.Password)), errors.New(where(config))} {
				if strings.Contains(err.Error(), secret) {
					t.Fatalf("%q: the password is in the error %q", dsn, err)
				}
			}
		}
	})
}

func TestFullIsFoundOnEveryErrorOfTheChain(t *testing.T) {
	full, denied := &pgconn.PgError{Code: tooManyConnections}, &pgconn.PgError{Code: invalidAuthorization}
	wrap := func(err error) error { return fmt.Errorf("db (10.0.0.1): %w", err) }
	for _, c := range []struct {
		err  error
		want bool
	}{
		{full, true},
		{wrap(full), true},
		{wrap(errors.Join(wrap(denied), wrap(full))), true},
		{wrap(errors.Join(wrap(full), wrap(denied))), true},
		{errors.Join(errors.Join(denied, wrap(errors.Join(full)))), true},
		{errors.Join(denied, errors.New("53300")), false},
		{wrap(denied), false},
		{context.DeadlineExceeded, false},
	} {
		if got := refusedAsFull(c.err); got != c.want {
			t.Errorf("%v: %t, expected %t", c.err, got, c.want)
		}
	}
}

func TestEveryAttemptIsExplainedOnce(t *testing.T) {
	config, err := parse("the test", "postgres://monitor:x@db/shop")
	if err != nil {
		t.Fatal(err)
	}
	denied := &pgconn.PgError{Code: invalidAuthorization}
	got := connectTrouble(config, errors.Join(errors.New("server refused TLS connection"), denied, fmt.Errorf("again: %w", denied))).Error()
	if strings.Count(got, "28000") != 1 || !strings.Contains(got, "does not do TLS") {
		t.Errorf("error %q, expected both reasons, each once", got)
	}
}
