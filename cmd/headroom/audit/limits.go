package audit

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/internal/dbenv"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/postgres"
)

// known is how it is known what a database allows.
type known struct {
	dsn            *postgres.DSN
	maxConnections int // 0 where not given
}

// knowledge reads the flags: what is known of which database. A DSN given for a
// policy's database also says which server that is.
func (a *auditor) knowledge(ctx context.Context) map[string]known {
	out := map[string]known{}
	dsn := func(name string, d postgres.DSN) {
		k := out[name]
		k.dsn = &d
		out[name] = k
		text, err := d.Read(ctx)
		if err != nil || !strings.Contains(name, "/") {
			return // reading it says what is wrong
		}
		if u, ok := dbenv.Parse(text); ok {
			if server, err := a.environment.server("", u); err == nil && a.aliases[name] == "" {
				a.aliases[name] = server
			}
		}
	}
	for _, pair := range a.options.DSNFiles {
		name, path, _ := strings.Cut(pair, "=")
		dsn(name, postgres.FromFile(path))
	}
	for _, pair := range a.options.DSNEnvironment {
		name, variable, _ := strings.Cut(pair, "=")
		dsn(name, postgres.FromEnvironment(variable))
	}
	for _, pair := range a.options.MaxConnections {
		name, text, _ := strings.Cut(pair, "=")
		k := out[name]
		k.maxConnections, _ = strconv.Atoi(text) // Validate has seen it
		out[name] = k
	}
	return out
}

// limits finds out what a database allows.
func (a *auditor) limits(ctx context.Context, d *Database, k known) {
	if k.dsn != nil {
		reading, err := a.read(ctx, *d, *k.dsn)
		if err == nil {
			d.Limits = fromReading(reading)
			return
		}
		d.Problem = err.Error()
	}
	if k.maxConnections > 0 {
		d.Limits = []Limit{{Name: "server", Allows: k.maxConnections, From: "--max-connections"}}
	}
}

// read reads the server once, with one connection.
func (a *auditor) read(ctx context.Context, d Database, dsn postgres.DSN) (metrics.Database, error) {
	timeout := a.options.Timeout
	if timeout <= 0 {
		timeout = 10 * time.Second
	}
	var logins []postgres.Login
	for _, c := range d.Consumers {
		if c.User != "" {
			logins = append(logins, postgres.Login{User: c.User, Database: c.Database})
		}
	}
	source := postgres.Open(postgres.Options{DSN: dsn, Logins: logins, ConnectTimeout: timeout, Timeout: timeout})
	defer func() { _ = source.Close() }() // it is always nil
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	reading, err := source.Read(ctx)
	switch {
	case err != nil:
		return metrics.Database{}, err
	case reading.Full:
		return metrics.Database{}, fmt.Errorf("it is full and refused the login from %s: that is the answer, for now; a login with reserved slots gets in", dsn.Origin)
	case reading.ReadOnly:
		a.note("%s is a replica or in recovery: its limits may differ from the writer's", d.Name)
	}
	return reading, nil
}

// fromReading takes a server's limits from a reading.
func fromReading(reading metrics.Database) []Limit {
	var limits []Limit
	for _, c := range reading.Constraints {
		used := 0
		for _, s := range reading.Sessions {
			if c.Counts(s.User, s.Database) {
				used += s.Count
			}
		}
		limits = append(limits, Limit{Name: c.Name, Allows: c.Limit, From: "the server", InUse: &used, counts: func(user, database string) bool {
			if database == "" {
				database = reading.Name
			}
			return c.Counts(user, database)
		}})
	}
	return limits
}
