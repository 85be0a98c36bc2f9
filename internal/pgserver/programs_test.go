package pgserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// install makes an installation that can do nothing but say its version.
func install(t *testing.T, dir, version string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"initdb", "postgres"} {
		script := fmt.Sprintf("#!/bin/sh\necho '%s (PostgreSQL) %s'\n", name, version)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFindPrograms(t *testing.T) {
	root := t.TempDir()
	t.Setenv("PATH", filepath.Join(root, "path"))
	usual := []string{filepath.Join(root, "postgresql", "*", "bin")}
	found := func() (programs, error) { return findPrograms(t.Context(), usual) }

	p, err := found()
	if !errors.Is(err, ErrNotInstalled) || !strings.Contains(err.Error(), "apt-get install postgresql") {
		t.Errorf("nothing installed: %v, %v", p, err)
	}

	install(t, filepath.Join(root, "postgresql", "9", "bin"), "9.6.24")
	if p, err = found(); err == nil || !strings.Contains(err.Error(), "PostgreSQL 9, need 13") {
		t.Errorf("only 9.6 installed: %v, %v", p, err)
	}

	install(t, filepath.Join(root, "postgresql", "13", "bin"), "13.1 (Debian 13.1-1)")
	install(t, filepath.Join(root, "postgresql", "17", "bin"), "17beta2")
	if p, err = found(); err != nil || p.major != 17 {
		t.Errorf("9, 13 and 17 installed: %+v, %v", p, err)
	}

	// Only the client's programs are in PATH, then a link to a whole server.
	if err := os.MkdirAll(filepath.Join(root, "path"), 0o755); err != nil {
		t.Fatal(err)
	}
	install(t, filepath.Join(root, "elsewhere"), "16.0")
	link := func(name string) {
		t.Helper()
		if err := os.Symlink(filepath.Join(root, "elsewhere", name), filepath.Join(root, "path", name)); err != nil {
			t.Fatal(err)
		}
	}
	link("postgres")
	if p, err = found(); err != nil || p.major != 16 || p.initdb != filepath.Join(root, "elsewhere", "initdb") {
		t.Errorf("16 in PATH by a link: %+v, %v", p, err)
	}

	install(t, filepath.Join(root, "elsewhere"), "?")
	if p, err = found(); err == nil || !strings.Contains(err.Error(), "expected a version line") {
		t.Errorf("no version: %+v, %v", p, err)
	}
}
