package pgserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// oldestMajor is the oldest PostgreSQL whose settings and log this package
// knows.
const oldestMajor = 13

// ErrNotInstalled is in the chain of Start's error when the machine has no
// PostgreSQL server.
var ErrNotInstalled = errors.New("no PostgreSQL server programs (initdb, postgres) found; " +
	"on Debian or Ubuntu install them with: apt-get install postgresql")

// programs are the two programs of one PostgreSQL installation.
type programs struct {
	initdb, postgres string
	major            int
}

// usualDirectories are patterns of where packages put the server's programs,
// which most keep out of PATH.
var usualDirectories = []string{
	"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
	"/usr/pgsql-*/bin",          // the PostgreSQL project's RPM packages
	"/usr/local/pgsql/bin",      // built from source
}

// findPrograms looks in PATH, then in the directories of the usual packages
// (newest version first), then asks pg_config.
func findPrograms(ctx context.Context, usual []string) (programs, error) {
	directories := programDirectories(ctx, usual)
	var tooOld error
	for _, dir := range directories {
		p := programs{initdb: filepath.Join(dir, "initdb"), postgres: filepath.Join(dir, "postgres")}
		if !executable(p.initdb) || !executable(p.postgres) {
			continue
		}
		out, err := exec.CommandContext(ctx, p.postgres, "--version").Output()
		if err != nil {
			return programs{}, fmt.Errorf("ask %s for its version: %w", p.postgres, err)
		}
		if p.major, err = parseMajor(string(out)); err != nil {
			return programs{}, fmt.Errorf("%s: %w", p.postgres, err)
		}
		if p.major < oldestMajor {
			tooOld = fmt.Errorf("%s is PostgreSQL %d, need %d or newer", p.postgres, p.major, oldestMajor)
			continue
		}
		return p, nil
	}
	if tooOld != nil {
		return programs{}, tooOld
	}
	return programs{}, fmt.Errorf("%w (looked in PATH and in %s)", ErrNotInstalled, strings.Join(directories, ", "))
}

// programDirectories lists, best first, the directories that may hold the
// server's programs. Links are followed, because initdb looks for its files
// relative to where it really is.
func programDirectories(ctx context.Context, patterns []string) []string {
	var dirs []string
	add := func(dir string) {
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	for _, name := range []string{"initdb", "postgres"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if path, err = filepath.EvalSymlinks(path); err == nil {
			add(filepath.Dir(path))
		}
	}
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil {
			continue // not a pattern: only a mistake in the list above could do this
		}
		slices.SortFunc(found, func(a, b string) int { return cmp.Compare(versionIn(b), versionIn(a)) })
		for _, dir := range found {
			add(dir)
		}
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		add(strings.TrimSpace(string(out)))
	}
	return dirs
}

var number = regexp.MustCompile(`\d+`)

// versionIn returns the last number in a path such as
// /usr/lib/postgresql/15/bin, 0 if it has none.
func versionIn(path string) int {
	all := number.FindAllString(path, -1)
	if len(all) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(all[len(all)-1]) // too long to be a version: the largest
	return n
}

var versionLine = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// parseMajor reads the major version from what `postgres --version` prints,
// such as "postgres (PostgreSQL) 15.8 (Debian 15.8-1)" or
// "postgres (PostgreSQL) 18beta1".
func parseMajor(line string) (int, error) {
	m := versionLine.FindStringSubmatch(line)
	if m == nil {
		return 0, fmt.Errorf(`expected a version line such as "postgres (PostgreSQL) 15.8", got %q`, strings.TrimSpace(line))
	}
	return strconv.Atoi(m[1])
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
