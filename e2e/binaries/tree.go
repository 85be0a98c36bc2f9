package binaries

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// tree is a clone of the repository.
type tree struct {
	root string // the main module's directory
	e2e  string // the module of end-to-end tests
}

const mainModule = "github.com/keda-headroom/headroom"

// findTree finds the clone that the working directory is in, which for a test is its
// package's.
func findTree(ctx context.Context) (tree, error) {
	out, err := goOutput(ctx, "", "list", "-m", "-f", "{{.Path}} {{.Dir}}")
	if err != nil {
		return tree{}, err
	}
	module, dir, _ := strings.Cut(out, " ")
	switch module {
	case mainModule:
		return tree{root: dir, e2e: filepath.Join(dir, "e2e")}, nil
	case mainModule + "/e2e":
		return tree{root: filepath.Dir(dir), e2e: dir}, nil
	default:
		return tree{}, fmt.Errorf("expected to be in a clone of Headroom, in module %s/e2e; found module %q", mainModule, module)
	}
}

// moduleOf is the directory to build a package in: in the main module Headroom's own
// dependencies have the versions that it is released with.
func (t tree) moduleOf(importPath string) string {
	if importPath == mainModule+"/e2e" || strings.HasPrefix(importPath, mainModule+"/e2e/") {
		return t.e2e
	}
	return t.root
}

// goOutput runs the go command in dir, "" for the working directory, and returns what it
// prints, without the last newline.
func goOutput(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return "", errors.Join(fmt.Errorf("go %s: %w", strings.Join(args, " "), err), lastLines(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// lastLines is the end of what a command said, as an error; nil where it said nothing.
func lastLines(output string) error {
	const most = 20
	lines := strings.Split(strings.TrimSpace(output), "\n")
	if len(lines) > most {
		lines = lines[len(lines)-most:]
	}
	if text := strings.Join(lines, "\n"); text != "" {
		return errors.New(text)
	}
	return nil
}
