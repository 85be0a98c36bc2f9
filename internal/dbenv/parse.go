package dbenv

import (
	"net/netip"
	"net/url"
	"strings"
)

// schemes are those of URLs that lead to a database server.
var schemes = []string{"postgres", "postgresql", "postgis", "pgsql", "mysql", "mysql2", "mariadb"}

// poolParameters are those of URLs and connection strings that bound a pool, in
// lower case and without "_", "-" and blanks.
var poolParameters = []string{"poolmaxconns", "connectionlimit", "maximumpoolsize", "maxpoolsize", "poolsize"}

// Parse reads a connection string: a URL, one for JDBC, or pairs as libpq and .NET
// take them. It reports false for anything else.
func Parse(text string) (Use, bool) {
	text = strings.TrimSpace(text)
	if scheme, rest, ok := strings.Cut(text, "://"); ok {
		if !database(scheme) {
			return Use{}, false
		}
		return parseURL(rest)
	}
	return parsePairs(text)
}

// database reports whether a scheme is a database's: "postgresql",
// "postgresql+psycopg", "jdbc:postgresql".
func database(scheme string) bool {
	scheme = strings.ToLower(scheme)
	if rest, ok := strings.CutPrefix(scheme, "jdbc:"); ok {
		scheme = rest[strings.LastIndex(rest, ":")+1:]
	}
	scheme, _, _ = strings.Cut(scheme, "+")
	for _, s := range schemes {
		if s == scheme {
			return true
		}
	}
	return false
}

// parseURL reads what follows "://". A password may hold anything, so everything
// up to the last "@" before the path is passed over but the user.
func parseURL(rest string) (Use, bool) {
	rest, query, _ := strings.Cut(rest, "?")
	if strings.Contains(query, "@") {
		return Use{}, false // the "?" may stand in a password, whose rest is no host
	}
	user := ""
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		user, _, _ = strings.Cut(rest[:at], ":")
		rest = rest[at+1:]
	}
	authority, path, _ := strings.Cut(rest, "/")
	host, port := splitHost(authority)
	u := Use{Host: host, Port: usual(port), User: unescape(user), Database: unescape(path)}
	for _, pair := range strings.Split(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		switch key = plain(key); {
		case key == "host" && u.Host == "":
			u.Host, port = splitHost(unescape(value))
			u.Port = usual(port)
		case key == "user" && u.User == "":
			u.User = unescape(value)
		default:
			u.pool(key, value)
		}
	}
	return u, u.Host != "" && size(or(u.Port, "1")) > 0 // a port that is no number may be a password
}

func or(text, instead string) string {
	if text == "" {
		return instead
	}
	return text
}

// parsePairs reads "host=db user=worker" and "Host=db;Username=worker".
func parsePairs(text string) (Use, bool) {
	split := strings.Fields(text)
	if strings.Contains(text, ";") {
		split = strings.Split(text, ";")
	}
	var u Use
	port := ""
	for _, pair := range split {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `'"`)
		switch key = plain(key); key {
		case "host", "server":
			host, p := splitHost(value)
			u.Host = host
			if p != "" {
				port = p
			}
		case "port":
			port = value
		case "user", "username", "userid", "uid":
			u.User = value
		case "dbname", "database":
			u.Database = value
		default:
			u.pool(key, value)
		}
	}
	u.Port = usual(port)
	// A host alone could be anything's.
	return u, u.Host != "" && (u.User != "" || u.Database != "")
}

// pool takes a parameter that bounds the pool.
func (u *Use) pool(key, value string) {
	for _, p := range poolParameters {
		if key == p && u.Connections == 0 {
			u.Connections = size(value)
		}
	}
}

// plain writes a key of a parameter in one way.
func plain(key string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(strings.TrimSpace(key)))
}

func unescape(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}

// splitHost takes "db:5433" apart, of several hosts the first. The host is "" where
// the text names none: a path of a socket, or anything that a host's name can't hold,
// as it may be a piece of a password.
func splitHost(text string) (host, port string) {
	text, _, _ = strings.Cut(text, ",")
	text = strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(text, "["); ok {
		inside, after, closed := strings.Cut(rest, "]")
		port, colon := strings.CutPrefix(after, ":")
		if !closed || !isIPv6(inside) || after != "" && !colon {
			return "", ""
		}
		return strings.ToLower(inside), port
	}
	if isIPv6(text) {
		return strings.ToLower(text), ""
	}
	host, port, _ = strings.Cut(text, ":")
	host = strings.TrimSuffix(host, ".")
	if strings.ContainsFunc(host, foreign) {
		return "", ""
	}
	return strings.ToLower(host), port
}

func isIPv6(text string) bool {
	address, err := netip.ParseAddr(text)
	return err == nil && address.Is6()
}

// foreign reports whether a name that DNS resolves can't hold r; some servers' names
// have underscores.
func foreign(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.", r))
}
