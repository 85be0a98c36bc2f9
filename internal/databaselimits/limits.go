// Package databaselimits reads how many connections databases allow from a command
// line, for commands that don't ask the databases.
package databaselimits

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/keda-headroom/headroom/metrics"
)

// Flag and Usage are the same for every command.
const (
	Flag  = "database-limit"
	Usage = "connections that ordinary roles can have: N, or NAME=N; may be repeated"
)

// most is far above what any server carries.
const most = 10_000_000

// Limits are numbers of connections by the name of a database, with or without its
// namespace; "" is every other one. The zero value knows of none.
type Limits map[string]int

// Parse reads N and NAME=N. The error tells all that is wrong.
func Parse(texts []string) (Limits, error) {
	limits := Limits{}
	var wrong []string
	for _, text := range texts {
		name, number, named := strings.Cut(text, "=")
		if !named {
			name, number = "", text
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > most {
			wrong = append(wrong, strconv.Quote(text))
			continue
		}
		limits[name] = n
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("--%s: expected N or NAME=N with N from 1 to %d, found %s", Flag, most, strings.Join(wrong, ", "))
	}
	return limits, nil
}

// Of returns the limit of a database, and false where none is known.
func (l Limits) Of(id metrics.ID) (int, bool) {
	for _, name := range names(id) {
		if n, known := l[name]; known {
			return n, true
		}
	}
	return 0, false
}

// Unused returns the names that mean none of the databases, in order.
func (l Limits) Unused(databases []metrics.ID) []string {
	var unused []string
	for name := range l {
		if !slices.ContainsFunc(databases, func(id metrics.ID) bool { return slices.Contains(names(id), name) }) {
			unused = append(unused, name)
		}
	}
	slices.Sort(unused)
	return unused
}

// names are those by which a database's limit can be given, the most exact first.
func names(id metrics.ID) []string { return []string{id.String(), id.Name, ""} }
