package pgserver

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// defaults are the settings of a server that nobody has given any.
var defaults = map[string]string{
	"listen_addresses":        "127.0.0.1",
	"unix_socket_directories": "",

	// Speed before safety: the data are thrown away. What was committed outlives a
	// killed server all the same, in the kernel's cache, as long as PostgreSQL writes it
	// before it says so (synchronous_commit stays on).
	"fsync":            "off",
	"full_page_writes": "off",
	"shared_buffers":   "16MB",
	"max_wal_size":     "64MB",
	"min_wal_size":     "8MB",

	// Nothing that comes and goes by itself.
	"autovacuum": "off",
	"jit":        "off",

	// A killed server must leave nothing in /dev/shm: shared memory is kept in
	// files of the data directory.
	"dynamic_shared_memory_type": "mmap",

	"timezone":    "UTC",
	"lc_monetary": "C",
	"lc_numeric":  "C",
	"lc_time":     "C",

	"log_checkpoints":    "off",
	"log_connections":    "off",
	"log_disconnections": "off",
	"log_min_messages":   "warning",
}

// fixed are the settings that this package relies on to read the log, to be
// reached and to find its processes.
var fixed = map[string]string{
	"log_destination":     "stderr",
	"logging_collector":   "off",
	"log_line_prefix":     `%m\037%p\037%e\037%u\037%d\037%a\037%r\037`,
	"log_timezone":        "UTC",
	"log_hostname":        "off",
	"log_error_verbosity": "default",
	"lc_messages":         "C",
}

// reserved may not be given: they are fixed above or have an option of their
// own.
var reserved = append(slices.Collect(maps.Keys(fixed)),
	"port", "data_directory", "hba_file", "ident_file", "config_file", "external_pid_file")

// settingName admits custom settings too, such as
// rds.rds_reserved_connections.
var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?$`)

// checkSettings says everything that is wrong with the names and the form of
// settings. Whether PostgreSQL likes the values, it says itself at its start.
func checkSettings(settings map[string]string) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		value := settings[name]
		switch {
		case !settingName.MatchString(name):
			errs = append(errs, fmt.Errorf("setting %q: not a name of a PostgreSQL setting", name))
		case slices.Contains(reserved, strings.ToLower(name)):
			errs = append(errs, fmt.Errorf("setting %s: is set by pgserver itself", name))
		case strings.ContainsAny(value, "\n\r\x00"):
			errs = append(errs, fmt.Errorf("setting %s: value %q must be on one line", name, value))
		}
	}
	return errors.Join(errs...)
}

var quote = strings.NewReplacer(`'`, `''`, `\`, `\\`)

// configuration renders postgresql.conf: defaults, overridden by settings.
func configuration(port int, settings map[string]string) string {
	all := maps.Clone(defaults)
	for name, value := range settings {
		all[strings.ToLower(name)] = value
	}
	var b strings.Builder
	fmt.Fprintf(&b, "port = %d\n", port)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s = '%s'\n", name, quote.Replace(all[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(fixed)) {
		fmt.Fprintf(&b, "%s = '%s'\n", name, fixed[name])
	}
	return b.String()
}

// accessRules is pg_hba.conf: anybody on the loopback network, which is all
// of 127.0.0.0/8, so that each client can have an address of its own.
const accessRules = `local all         all             trust
host  all         all 127.0.0.0/8 trust
host  replication all 127.0.0.0/8 trust
`
