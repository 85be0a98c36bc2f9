package postgres

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// applicationName is what pg_stat_activity shows for our own session, whatever
// the DSN says.
const applicationName = "headroom"

// parse reads a DSN. Its errors hold nothing of the text: in a malformed one the
// password may stand anywhere.
func parse(origin, text string) (*pgx.ConnConfig, error) {
	if wrong := malformed(text); wrong != "" {
		return nil, unusable(origin, wrong)
	}
	config, err := pgx.ParseConfig(text)
	if err != nil {
		return nil, unusable(origin, explainParse(err))
	}
	// No statement is prepared by name, so a pooler may hand every transaction to
	// another backend.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.StatementCacheCapacity, config.DescriptionCacheCapacity = 0, 0

	config.RuntimeParams["application_name"] = applicationName
	config.RuntimeParams["client_encoding"] = "UTF8"
	// Settings of other clients, which this driver would hand on to the server,
	// which would refuse them.
	maps.DeleteFunc(config.RuntimeParams, func(key, _ string) bool {
		return strings.HasPrefix(key, "pool_") || slices.Contains(foreignSettings, key)
	})
	return config, nil
}

var foreignSettings = []string{
	"fallback_application_name", "gssencmode", "sslcompression",
	"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
}

// malformed finds what the driver would take for something else, and with it
// perhaps a piece of the password for the host or the database. "" is fine.
func malformed(text string) string {
	if text == "" {
		return "it is empty"
	}
	if strings.ContainsRune(text, 0) {
		return "it contains a NUL byte"
	}
	rest, isURL := strings.CutPrefix(text, "postgres://")
	if !isURL {
		rest, isURL = strings.CutPrefix(text, "postgresql://")
	}
	if !isURL {
		if scheme, _, ok := strings.Cut(text, "://"); ok && !strings.Contains(scheme, "=") {
			return "its scheme is neither postgres:// nor postgresql://"
		}
		return ""
	}
	if strings.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "it contains a blank or a control character, which must be percent-encoded (a blank as %20)"
	}
	// The user and the password end at the first @, unless a / came before it.
	if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
		rest = rest[i+1:]
	}
	if strings.Contains(rest, "@") {
		return "there is an @ where none can be: in the user, the password and the database, " +
			"@ must be written %40, / as %2F, : as %3A, ? as %3F, # as %23 and % as %25"
	}
	return ""
}

// explainParse says in our own words what the driver dislikes.
func explainParse(err error) string {
	said := err.Error() // never shown: it holds pieces of the DSN
	for _, known := range []struct{ says, means string }{
		{"invalid port", "its port is not a number from 1 to 65535"},
		{"port numbers to", "it has neither one port for all hosts nor one for each"},
		{"failed to configure TLS", "its TLS settings can't be used: expected sslmode disable, allow, prefer, require, verify-ca or verify-full, " +
			"and readable files in sslrootcert, sslcert and sslkey"},
		{"failed to parse as URL", "it is not a URL: in the user, the password and the database, % must be written %25, " +
			"@ as %40, / as %2F, : as %3A, ? as %3F and # as %23"},
		{"failed to parse as keyword/value", "it is neither a URL nor keyword=value pairs: a value with blanks needs single quotes around it"},
		{"target_session_attrs", "its target_session_attrs is not any, read-write, read-only, primary, standby or prefer-standby"},
		{"connect_timeout", "its connect_timeout is not a number of seconds"},
		{"failed to read service", "the service it names is in no service file"},
	} {
		if strings.Contains(said, known.says) {
			return known.means
		}
	}
	return "one of its settings has a value that is not allowed"
}

func unusable(origin, wrong string) error {
	return &problem{text: fmt.Sprintf("the DSN from %s can't be used: %s; expected postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, "+
		"or host=HOST port=PORT user=USER password='PASSWORD' dbname=DATABASE sslmode=verify-full", origin, wrong)}
}

// where names the server and our login, for errors. It is made from a DSN that
// passed parse, so the password is not in it.
func where(config *pgx.ConnConfig) string {
	var hosts []string
	add := func(host string, port uint16) {
		if text := net.JoinHostPort(host, strconv.Itoa(int(port))); !slices.Contains(hosts, text) {
			hosts = append(hosts, text)
		}
	}
	add(config.Host, config.Port)
	for _, other := range config.Fallbacks {
		add(other.Host, other.Port)
	}
	database := config.Database
	if database == "" {
		database = config.User // the server's own default
	}
	return fmt.Sprintf("PostgreSQL at %s (user %q, database %q)", strings.Join(hosts, ", "), config.User, database)
}
