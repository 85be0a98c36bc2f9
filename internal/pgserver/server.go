package pgserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/keda-headroom/headroom/internal/steadyport"
)

// Superuser is the role that owns the server. Its reserved slots let it in
// when the server is full for others.
const Superuser = "postgres"

// Options say how the server differs from the usual one. The zero value is a
// usable server with PostgreSQL's own 100 connections.
type Options struct {
	// Settings are lines of postgresql.conf, such as "max_connections": "20".
	Settings map[string]string
	// Dir is where the server's private directory is made; empty means a
	// temporary directory. The user that PostgreSQL runs as must be able to
	// enter it.
	Dir string
	// Port is the TCP port on 127.0.0.1; 0 means a free one.
	Port int
}

// Server is a private PostgreSQL server. Its methods may be called from
// several goroutines; those that start and end the server wait for each
// other.
type Server struct {
	programs programs
	account  account
	dir      string // removed by Stop
	dataDir  string
	logPath  string
	port     int
	release  func() bool // lets go of the context given to Start
	watchdog *watchdog   // clears up if this process is killed

	mu       sync.Mutex
	settings map[string]string
	running  *postmaster // nil when the server is down
	stopped  bool        // for good
}

// ErrStopped is returned when a server is used after Stop, or after the end of
// the context it was started with.
var ErrStopped = errors.New("PostgreSQL was stopped and its directory removed")

// Start makes a new, empty server and returns when it accepts connections.
// The server is stopped when ctx ends.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := supported(); err != nil {
		return nil, err
	}
	if err := checkSettings(o.Settings); err != nil {
		return nil, err
	}
	if o.Port < 0 || o.Port > 65535 {
		return nil, fmt.Errorf("port %d: expected 1 to 65535, or 0 for a free one", o.Port)
	}
	if o.Port != 0 {
		// PostgreSQL would say so too, but only after its directory is made.
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port)))
		if err != nil {
			return nil, fmt.Errorf("the port for PostgreSQL: %w", err)
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
	s := &Server{port: o.Port, settings: maps.Clone(o.Settings)}
	if s.settings == nil {
		s.settings = map[string]string{}
	}
	var err error
	if s.programs, err = findPrograms(ctx, usualDirectories); err != nil {
		return nil, err
	}
	if s.account, err = chooseAccount(); err != nil {
		return nil, err
	}
	if s.dir, err = s.account.privateDir(o.Dir); err != nil {
		return nil, fmt.Errorf("make a directory for PostgreSQL: %w", err)
	}
	s.dataDir = filepath.Join(s.dir, "data")
	s.logPath = filepath.Join(s.dir, "server.log")

	if err = s.create(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	s.mu.Lock() // a context that has just ended stops the server at once
	defer s.mu.Unlock()
	s.release = context.AfterFunc(ctx, func() { _ = s.Stop() })
	return s, nil
}

// create goes from an empty directory to a server that accepts connections.
func (s *Server) create(ctx context.Context) error {
	if err := s.startWatchdog(); err != nil {
		return fmt.Errorf("start the watchdog of PostgreSQL: %w", err)
	}
	if err := s.initialize(ctx); err != nil {
		return err
	}
	return s.firstBoot(ctx)
}

// initialize creates the data directory. It takes about half a second; a
// copy of a prepared one would be faster, but all copies would bear the same
// system identifier, and a server must be told from another.
func (s *Server) initialize(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, s.programs.initdb,
		"--pgdata="+s.dataDir, "--username="+Superuser, "--auth=trust",
		"--encoding=UTF8", "--locale=C", "--wal-segsize=1", "--no-sync")
	cmd.Dir, cmd.Env, cmd.SysProcAttr = s.dir, s.environment(), attributes(s.account.credential())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb as user %s: %w\n%s", s.account.name, err, out)
	}
	return s.write("pg_hba.conf", accessRules)
}

// environment is all that the programs get: no PG* variable of the caller
// may change what they do.
func (s *Server) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "HOME=" + s.dir}
}

func (s *Server) write(name, content string) error {
	path := filepath.Join(s.dataDir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return err
	}
	return s.account.own(path)
}

// firstBoot tries other ports when the one it chose is taken meanwhile.
func (s *Server) firstBoot(ctx context.Context) error {
	const attempts = 5
	chosen := s.port != 0
	for attempt := 1; ; attempt++ {
		if !chosen {
			var err error
			if s.port, err = steadyport.Port(); err != nil {
				return err
			}
		}
		err := s.boot(ctx, s.settings)
		taken := errors.Is(err, errEnded) && strings.Contains(err.Error(), "Address already in use")
		if !taken || chosen || attempt == attempts {
			return err
		}
	}
}

// boot starts a server that is down and waits until it accepts connections.
func (s *Server) boot(ctx context.Context, settings map[string]string) error {
	if err := s.write("postgresql.conf", configuration(s.port, settings)); err != nil {
		return fmt.Errorf("configure PostgreSQL: %w", err)
	}
	log, err := os.OpenFile(s.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of PostgreSQL: %w", err)
	}
	defer func() { _ = log.Close() }() // the server has its own handle
	info, err := log.Stat()
	if err != nil {
		return err
	}

	cmd := exec.Command(s.programs.postgres, "-D", s.dataDir)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = s.dataDir, s.environment(), attributes(s.account.credential())
	cmd.Stdout, cmd.Stderr = log, log
	p, err := launch(cmd, s.dataDir)
	if err != nil {
		return fmt.Errorf("start PostgreSQL as user %s: %w", s.account.name, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout,
		fmt.Errorf("PostgreSQL did not accept connections within %v", startTimeout))
	defer cancel()
	if err := p.awaitReady(ctx); err != nil {
		return errors.Join(fmt.Errorf("%w; the end of its log:\n%s", err, logTail(s.logPath, info.Size())), p.kill())
	}
	s.running = p
	return nil
}

// Start starts the server again after Kill, with the same data, settings and
// port. It does nothing if the server is running.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return ErrStopped
	}
	if s.running != nil {
		if !s.running.HasEnded() {
			return nil
		}
		if err := s.halt((*postmaster).kill); err != nil { // it crashed by itself
			return err
		}
	}
	return s.boot(ctx, s.settings)
}

// Restart shuts the server down, cutting off its sessions, and starts it on
// the same port with the same data and with overrides on top of its settings.
// After an error the server is down; Start brings it back as it was before.
func (s *Server) Restart(ctx context.Context, overrides map[string]string) error {
	if err := checkSettings(overrides); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return ErrStopped
	}
	if err := s.halt((*postmaster).shutDown); err != nil {
		return err
	}
	settings := maps.Clone(s.settings)
	maps.Copy(settings, overrides)
	if err := s.boot(ctx, settings); err != nil {
		return err
	}
	s.settings = settings
	return nil
}

// Kill ends all processes of the server at once, as a crash of its machine
// would. Clients see their connections reset, and then refused until Start.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.halt((*postmaster).kill)
}

// Pause makes the server hang: all its processes stand still when Pause
// returns. Clients can still connect, as the kernel does that, but nothing
// answers.
func (s *Server) Pause(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		return errors.New("pause PostgreSQL: it is not running")
	}
	return s.running.pause(ctx)
}

// Resume ends a Pause. It does nothing to a server that is not paused.
func (s *Server) Resume() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		return nil
	}
	return s.running.resume()
}

// Demote restarts the server as a standby, in recovery and read-only, as one
// that lost a failover. SELECT pg_promote() makes it a primary again.
// PostgreSQL does not start a standby with fewer max_connections than it had
// as a primary.
func (s *Server) Demote(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return ErrStopped
	}
	if err := s.halt((*postmaster).shutDown); err != nil {
		return err
	}
	if err := s.write("standby.signal", ""); err != nil {
		return err
	}
	return s.boot(ctx, s.settings)
}

// Stop ends the server and removes its directory. Further calls do nothing.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	s.stopped = true
	if s.release != nil {
		s.release()
	}
	if err := s.halt((*postmaster).shutDown); err != nil {
		// What cannot be ended here is left to the watchdog.
		return errors.Join(err, s.watchdog.pipe.Close())
	}
	return errors.Join(removeSharedMemory(s.dataDir), os.RemoveAll(s.dir), s.watchdog.dismiss())
}

// halt takes the server down by the given means.
func (s *Server) halt(means func(*postmaster) error) error {
	if s.running == nil {
		return nil
	}
	if err := means(s.running); err != nil {
		return fmt.Errorf("end PostgreSQL: %w", err)
	}
	s.running = nil
	return nil
}

// Major is the server's major version, such as 15.
func (s *Server) Major() int { return s.programs.major }

// Addr is the server's host:port. It stays the same until Stop.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// DSN is the connection string of a role for a database of this server.
func (s *Server) DSN(user, database string) string { return DSN(s.Addr(), user, database) }

// SuperuserDSN is the connection string of Superuser for the database
// postgres, which every server has.
func (s *Server) SuperuserDSN() string { return s.DSN(Superuser, "postgres") }

// DSN is the connection string of a role for a database at host:port, which
// may be the address of something that forwards to a server.
func DSN(addr, user, database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(user), Host: addr, Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Exec runs SQL statements as Superuser in the database postgres, one after
// the other and each by itself, over a connection of its own.
func (s *Server) Exec(ctx context.Context, statements ...string) (err error) {
	conn, err := pgx.Connect(ctx, s.SuperuserDSN())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}
