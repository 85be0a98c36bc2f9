// Package seeded builds a package's tests with mistakes seeded into the real source
// of others, all in one build, each behind a switch: a proof that those tests can
// fail.
package seeded

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Switch is the environment variable that names the fault that is switched on in a
// process of such a build.
const Switch = "HEADROOM_FAULT"

// Fault is a mistake that could be made: in one place, the code is not as it is but
// as it would be with the mistake.
type Fault struct {
	Name string
	// File is the path below the module's root.
	File string
	// Code stands exactly once in the file; Wrong takes its place. In Wrong,
	// fault(#) is whether this fault is switched on, unless(#, n) is 0 if so and n if
	// not, either(#, a, b) is a if so and b if not, and switched(#) is 1 if so and 0
	// if not, as a duration.
	Code, Wrong string
}

const switches = `package %s

import (
	"os"
	"time"
)

var seededFault = os.Getenv("` + Switch + `")

func fault(name string) bool { return name == seededFault }

func unless(name string, n int) int { return either(name, 0, n) }

func either[T any](name string, wrong, right T) T {
	if fault(name) {
		return wrong
	}
	return right
}

func switched(name string) time.Duration { return either[time.Duration](name, 1, 0) }
`

// root is the module's.
func root() string {
	_, self, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(self), "..", "..")
}

// Build builds the tests of the package in directory tested with all faults in
// place, none switched on, and returns the program. It leaves everything in dir.
func Build(dir, tested string, faults []Fault) (string, error) {
	texts := map[string]string{}
	for _, f := range faults {
		folder, path := filepath.Split(f.File)
		if texts[f.File] == "" {
			data, err := os.ReadFile(filepath.Join(root(), f.File))
			if err != nil {
				return "", err
			}
			texts[f.File] = string(data)
			texts[folder+"seeded_switches.go"] = fmt.Sprintf(switches, filepath.Base(folder))
		}
		if n := strings.Count(texts[f.File], f.Code); n != 1 {
			return "", fmt.Errorf("fault %q: expected its code once in %s%s, found it %d times; bring the fault up to date:\n%s", f.Name, folder, path, n, f.Code)
		}
		texts[f.File] = strings.Replace(texts[f.File], f.Code, strings.ReplaceAll(f.Wrong, "#", fmt.Sprintf("%q", f.Name)), 1)
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	n := 0
	for file, text := range texts {
		n++
		path := filepath.Join(dir, fmt.Sprintf("%d_%s", n, filepath.Base(file)))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", err
		}
		overlay.Replace[filepath.Join(root(), file)] = path
	}
	data, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "seeded.test")
	cmd := exec.Command("go", "test", "-c", "-overlay", path, "-o", binary, tested)
	cmd.Dir = root()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s with faults: %w\n%s", tested, err, out)
	}
	return binary, nil
}
