package binaries

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// component is one of the nested modules: programs of others, at one version.
type component struct {
	title     string
	dir       string            // of the nested module
	module    string            // whose version the programs have
	versioned []string          // variables that the version is linked into
	programs  map[string]string // package by the program's name
}

// built is a component that was built.
type built struct {
	dir     string // of the programs
	source  string // of the module whose version they have
	version string
}

func (c component) build(ctx context.Context, progress io.Writer) (built, error) {
	source, version, err := c.download(ctx)
	if err != nil {
		return built{}, err
	}
	flags := c.linkerFlags(version)
	dir, err := c.cached(ctx, flags)
	if err != nil {
		return built{}, err
	}
	result := built{dir: dir, source: source, version: version}
	if complete(dir, c.programs) {
		return result, nil
	}
	unlock, err := lock(ctx, dir)
	if err != nil {
		return built{}, err
	}
	defer unlock()
	if complete(dir, c.programs) { // by whom we waited for
		return result, nil
	}
	begin := time.Now()
	for _, name := range slices.Sorted(maps.Keys(c.programs)) {
		path := filepath.Join(dir, name)
		if exists(path) {
			continue
		}
		fmt.Fprintf(progress, "%s %s: building %s\n", c.title, version, name)
		// Beside its place and then renamed: what is in its place is whole.
		partial := path + ".partial"
		if err := goBuild(ctx, progress, c.dir, c.programs[name], partial, flags); err != nil {
			return built{}, fmt.Errorf("build %s of %s %s: %w", name, c.title, version, err)
		}
		if err := os.Rename(partial, path); err != nil {
			return built{}, err
		}
	}
	fmt.Fprintf(progress, "%s %s: built in %s, in %s\n", c.title, version, time.Since(begin).Round(time.Second), dir)
	return result, nil
}

// linkerFlags leave debugging information out, and say the version that a release
// of the programs says.
func (c component) linkerFlags(version string) string {
	flags := []string{"-s", "-w"}
	for _, variable := range c.versioned {
		flags = append(flags, "-X", variable+"="+version)
	}
	return strings.Join(flags, " ")
}

// cached is the directory for programs that are built from these versions by this Go.
func (c component) cached(ctx context.Context, flags string) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	golang, err := goOutput(ctx, c.dir, "env", "GOVERSION", "GOOS", "GOARCH", "CGO_ENABLED", "GOEXPERIMENT")
	if err != nil {
		return "", err
	}
	texts := []string{golang, flags}
	for _, name := range []string{"go.mod", "go.sum", "main.go", "client/main.go"} {
		content, err := os.ReadFile(filepath.Join(c.dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		texts = append(texts, string(content))
	}
	return filepath.Join(cache, digest(texts...)), nil
}

// download finds the module whose version the programs have, and fetches it if
// nobody has.
func (c component) download(ctx context.Context) (dir, version string, err error) {
	out, err := goOutput(ctx, c.dir, "mod", "download", "-json", c.module)
	if err != nil {
		return "", "", err
	}
	var module struct{ Dir, Version string }
	if err := json.Unmarshal([]byte(out), &module); err != nil {
		return "", "", fmt.Errorf("go mod download -json %s: %w", c.module, err)
	}
	return module.Dir, module.Version, nil
}

func complete(dir string, programs map[string]string) bool {
	for name := range programs {
		if !exists(filepath.Join(dir, name)) {
			return false
		}
	}
	return true
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
