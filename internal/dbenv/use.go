package dbenv

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Variable is one variable of a container.
type Variable struct {
	Value string
	// Secret keeps everything but the server's host and port out of what is found.
	Secret bool
}

// Use is one database server that a container connects to.
type Use struct {
	// Host is in lower case, Port "" for the engine's usual one.
	Host string
	Port string
	// User and Database are "" where they are not known.
	User     string
	Database string
	// From is the variable that names the server.
	From string
	// Connections is the size of the container's pool, 0 where that is not known,
	// and ConnectionsFrom the variables that say so.
	Connections     int
	ConnectionsFrom string
}

// Find returns the servers that a container connects to, each once, by the names
// of the variables.
func Find(variables map[string]Variable) []Use {
	var found []Use
	add := func(u Use) {
		if !slices.ContainsFunc(found, func(f Use) bool { return f.Host == u.Host && f.Port == u.Port }) {
			found = append(found, u)
		}
	}
	names := slices.Sorted(maps.Keys(variables))
	for _, name := range names {
		if u, ok := Parse(variables[name].Value); ok {
			u.From = name
			if u.Connections > 0 {
				u.ConnectionsFrom = name
			}
			if variables[name].Secret {
				u = Use{Host: u.Host, Port: u.Port, From: name}
			}
			add(u)
		}
	}
	for _, name := range names {
		if prefix, ok := hostVariable(name); ok {
			if u, ok := fromParts(variables, name, prefix); ok {
				add(u)
			}
		}
	}
	size, from := pool(variables)
	for i := range found {
		if found[i].Connections == 0 && size > 0 {
			found[i].Connections, found[i].ConnectionsFrom = size, from
		}
	}
	return found
}

// hostPrefixes are what stands before HOST; something and "_" may stand before
// them.
var hostPrefixes = []string{"PG", "DB_", "DATABASE_", "POSTGRES_", "POSTGRESQL_", "PG_", "MYSQL_", "MARIADB_", "RDS_"}

// hostVariable reports whether a variable names a database's host, and what the
// names of its port and user begin with.
func hostVariable(name string) (prefix string, ok bool) {
	for _, suffix := range []string{"HOST", "HOSTNAME"} {
		prefix, ok := strings.CutSuffix(name, suffix)
		if !ok {
			continue
		}
		for _, p := range hostPrefixes {
			if prefix == p || (p != "PG" && strings.HasSuffix(prefix, "_"+p)) {
				return prefix, true
			}
		}
	}
	return "", false
}

// fromParts reads a server that is given by variables of one prefix.
func fromParts(variables map[string]Variable, name, prefix string) (Use, bool) {
	text := strings.TrimSpace(variables[name].Value)
	host, port := splitHost(text)
	if host == "" {
		return Use{}, false
	}
	known := func(suffixes ...string) string {
		for _, s := range suffixes {
			if v, ok := variables[prefix+s]; ok && !v.Secret {
				return strings.TrimSpace(v.Value)
			}
		}
		return ""
	}
	if p, err := strconv.Atoi(known("PORT")); port == "" && err == nil {
		port = strconv.Itoa(p)
	}
	u := Use{Host: host, Port: usual(port), From: name}
	if !variables[name].Secret {
		u.User, u.Database = known("USER", "USERNAME"), known("DATABASE", "NAME", "DBNAME", "DB")
	}
	return u, true
}

// usual drops a port that goes without saying.
func usual(port string) string {
	if port == "5432" || port == "3306" {
		return ""
	}
	return port
}
