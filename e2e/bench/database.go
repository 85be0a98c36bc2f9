package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/keda-headroom/headroom/e2e/contender"
	"github.com/keda-headroom/headroom/e2e/scenario"
	"github.com/keda-headroom/headroom/internal/pgserver"
)

// Roles and names on a lane's server.
const (
	databaseName = "shop"
	workerRole   = "worker"
	otherRole    = "web"
	handledTable = "handled"
)

// autoscalerRoles are those that autoscalers log in as.
var autoscalerRoles = []string{"keda", "headroom"}

// database is a lane's PostgreSQL server.
type database struct {
	server   *pgserver.Server
	settings func(maxConnections int) map[string]string
}

func startDatabase(ctx context.Context, s scenario.Scenario) (*database, error) {
	settings := func(maxConnections int) map[string]string {
		return map[string]string{
			"max_connections":                strconv.Itoa(maxConnections),
			"superuser_reserved_connections": strconv.Itoa(s.Database.ReservedConnections),
		}
	}
	// Not ctx, which may be of the beginning alone: a server ends with its context.
	server, err := pgserver.Start(context.WithoutCancel(ctx), pgserver.Options{Settings: settings(s.Database.MaxConnections)})
	if err != nil {
		return nil, err
	}
	d := &database{server: server, settings: settings}
	if err := d.prepare(ctx); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

// prepare makes the database, its roles and the table of what was handled.
func (d *database) prepare(ctx context.Context) (err error) {
	statements := []string{"CREATE ROLE " + workerRole + " LOGIN", "CREATE ROLE " + otherRole + " LOGIN", "CREATE DATABASE " + databaseName}
	for _, role := range autoscalerRoles {
		statements = append(statements, "CREATE ROLE "+role+" LOGIN", "GRANT pg_monitor TO "+role)
	}
	if err := d.server.Exec(ctx, statements...); err != nil {
		return err
	}
	conn, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	for _, sql := range []string{
		"CREATE TABLE " + handledTable + " (message text NOT NULL)",
		"GRANT INSERT ON " + handledTable + " TO " + workerRole,
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// connect opens a session that gets in when the server is full for others.
func (d *database) connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, d.server.DSN(pgserver.Superuser, databaseName))
}

func (d *database) dsn(role string) string { return d.server.DSN(role, databaseName) }

// endpoint is the server as contenders name it.
func (d *database) endpoint() (contender.Database, error) {
	host, port, err := net.SplitHostPort(d.server.Addr())
	return contender.Database{Host: host, Port: port, Name: databaseName, Worker: workerRole}, err
}

// failOver cuts off all sessions and goes on with another max_connections.
func (d *database) failOver(ctx context.Context, maxConnections int) error {
	return d.server.Restart(ctx, d.settings(maxConnections))
}

// handled is how many different messages were written.
func (d *database) handled(ctx context.Context) (n int, err error) {
	conn, err := d.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	err = conn.QueryRow(ctx, "SELECT count(DISTINCT message) FROM "+handledTable).Scan(&n)
	return n, err
}

func (d *database) stop() error { return d.server.Stop() }
