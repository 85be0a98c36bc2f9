package pgserver

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"
)

// TooManyConnections is the SQLSTATE of every refusal because something is
// full: the server, its reserved slots, a role's limit or a database's limit.
const TooManyConnections = "53300"

// LogEntry is one report in the server's own log.
type LogEntry struct {
	Time     time.Time // UTC, whole milliseconds
	Severity string    // such as LOG, WARNING, ERROR, FATAL, PANIC
	SQLState string    // five characters; 00000 where there is no error

	// User, Database and Client say whose session reported; they are zero for
	// the server's own processes, and User and Database also where a client had
	// not yet said.
	User, Database string
	Client         netip.AddrPort

	// Application is the session's application_name, empty as long as the
	// session is not established: PostgreSQL does not know it yet when it
	// refuses a connection.
	Application string

	Message string // its first line, without details, hints and statements
}

// Refused reports whether the entry is a refused connection because something
// was full.
func (e LogEntry) Refused() bool {
	return e.Severity == "FATAL" && e.SQLState == TooManyConnections
}

// ReadLog returns what the server has logged from offset on, and the offset
// to go on from. Offset 0 is the first start of the server. A report is in
// the log before the client that caused it can know of it.
func (s *Server) ReadLog(offset int64) (entries []LogEntry, next int64, err error) {
	data, err := readFrom(s.logPath, offset)
	if err != nil {
		return nil, offset, fmt.Errorf("read the log of PostgreSQL (it exists until Stop): %w", err)
	}
	end := bytes.LastIndexByte(data, '\n') + 1
	return parseLog(string(data[:end])), offset + int64(end), nil
}

// Refusals counts, by user, the connections that the server has refused since
// its first start because something was full.
func (s *Server) Refusals() (map[string]int, error) {
	entries, _, err := s.ReadLog(0)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, e := range entries {
		if e.Refused() {
			counts[e.User]++
		}
	}
	return counts, nil
}

// parseLog reads lines of the form that log_line_prefix gives them. Other
// lines continue a report, or come from before the settings were read; they
// are passed over.
func parseLog(text string) []LogEntry {
	var entries []LogEntry
	for line := range strings.Lines(text) {
		if e, ok := parseLogLine(strings.TrimRight(line, "\r\n")); ok {
			entries = append(entries, e)
		}
	}
	return entries
}

// logSeparator stands between the fields of log_line_prefix. It is never part
// of an application_name, from which PostgreSQL removes control characters.
const logSeparator = "\x1f"

func parseLogLine(line string) (LogEntry, bool) {
	f := strings.SplitN(line, logSeparator, 8)
	if len(f) != 8 {
		return LogEntry{}, false
	}
	at, err := time.Parse("2006-01-02 15:04:05.000 MST", f[0])
	if err != nil {
		return LogEntry{}, false
	}
	severity, message, found := strings.Cut(f[7], ":  ")
	if !found {
		return LogEntry{}, false
	}
	switch severity {
	case "DETAIL", "HINT", "QUERY", "CONTEXT", "LOCATION", "BACKTRACE", "STATEMENT":
		return LogEntry{}, false // more about the report before it
	}
	return LogEntry{
		Time:        at.UTC(),
		Severity:    severity,
		SQLState:    f[2],
		User:        known(f[3]),
		Database:    known(f[4]),
		Application: known(f[5]),
		Client:      parseRemote(f[6]),
		Message:     message,
	}, true
}

// known undoes PostgreSQL's word for a value that it does not have.
func known(field string) string {
	if field == "[unknown]" {
		return ""
	}
	return field
}

// parseRemote reads the form 127.0.0.1(54321); anything else is the zero
// value.
func parseRemote(field string) netip.AddrPort {
	host, port, found := strings.Cut(strings.TrimSuffix(field, ")"), "(")
	if !found {
		return netip.AddrPort{}
	}
	remote, _ := netip.ParseAddrPort(host + ":" + port)
	return remote
}

// logTail returns the last lines of the log from offset on, for errors.
func logTail(path string, offset int64) string {
	const most = 20
	data, err := readFrom(path, offset)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(string(data), logSeparator, " "), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}

func readFrom(path string, offset int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}
