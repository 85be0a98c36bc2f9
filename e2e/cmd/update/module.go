package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// module is a directory with a go.mod.
type module string

// version of a module; Version is "" where any is meant.
type version struct{ Path, Version string }

func (v version) String() string {
	if v.Version == "" {
		return v.Path
	}
	return v.Path + "@" + v.Version
}

// file is what a go.mod says, as `go mod edit -json` prints it.
type file struct {
	Require []version
	Exclude []version
	Replace []replacement
}

// replacement of a module; New has no version where it is a directory.
type replacement struct{ Old, New version }

// published reads the go.mod of a published module.
func published(ctx context.Context, of version) (file, error) {
	out, err := golang(ctx, "", "mod", "download", "-json", of.String())
	if err != nil {
		return file{}, err
	}
	var downloaded struct{ GoMod string }
	if err := json.Unmarshal(out, &downloaded); err != nil {
		return file{}, err
	}
	return read(ctx, "", downloaded.GoMod)
}

func (m module) read(ctx context.Context) (file, error) { return read(ctx, string(m)) }

func read(ctx context.Context, dir string, path ...string) (file, error) {
	out, err := golang(ctx, dir, append([]string{"mod", "edit", "-json"}, path...)...)
	if err != nil {
		return file{}, err
	}
	var f file
	return f, json.Unmarshal(out, &f)
}

// edit changes go.mod by flags of `go mod edit`, then lets the go command work out
// the rest.
func (m module) edit(ctx context.Context, flags []string) error {
	if _, err := golang(ctx, string(m), append([]string{"mod", "edit"}, flags...)...); err != nil {
		return err
	}
	_, err := golang(ctx, string(m), "mod", "tidy")
	return err
}

// golang runs the go command and returns what it prints.
func golang(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		_, _ = os.Stderr.Write(said.Bytes())
		return nil, fmt.Errorf("go %s: %w", strings.Join(args[:2], " "), err)
	}
	return out.Bytes(), nil
}
