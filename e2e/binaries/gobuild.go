package binaries

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// progressInterval is how often a long build says that it goes on.
const progressInterval = 15 * time.Second

// goBuild builds one program in the module at dir.
func goBuild(ctx context.Context, progress io.Writer, dir, importPath, output, linkerFlags string) error {
	// go -v names each package that it compiles, not those that it finds in its cache.
	args := []string{"build", "-v", "-trimpath", "-o", output}
	if linkerFlags != "" {
		args = append(args, "-ldflags", linkerFlags)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, importPath)...)
	cmd.Dir = dir
	cmd.WaitDelay = 10 * time.Second // compilers that outlive the go command
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	watch := newWatch(progress, filepath.Base(strings.TrimSuffix(output, ".partial")))
	said := watch.follow(stderr)
	err = cmd.Wait()
	watch.end()
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return errors.Join(err, lastLines(said))
	}
	return nil
}

// watch tells how far a build is.
type watch struct {
	progress io.Writer
	title    string
	begin    time.Time
	done     chan struct{}
	ended    sync.WaitGroup

	mu                   sync.Mutex
	compiled, downloaded int
}

func newWatch(progress io.Writer, title string) *watch {
	w := &watch{progress: progress, title: title, begin: time.Now(), done: make(chan struct{})}
	w.ended.Go(w.report)
	return w
}

// follow counts what the go command says it does, until it ends, and returns the rest
// of what it said.
func (w *watch) follow(output io.Reader) (rest string) {
	var others []string
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		w.mu.Lock()
		switch {
		case strings.HasPrefix(line, "go: downloading "):
			w.downloaded++
		case line != "" && !strings.ContainsAny(line, " \t:#"):
			w.compiled++
		default:
			others = append(others, line)
		}
		w.mu.Unlock()
	}
	return strings.Join(others, "\n")
}

func (w *watch) report() {
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	for {
		select {
		case <-w.done:
			return
		case <-tick.C:
			w.mu.Lock()
			compiled, downloaded := w.compiled, w.downloaded
			w.mu.Unlock()
			text := fmt.Sprintf("  %s: %d packages compiled", w.title, compiled)
			if downloaded > 0 {
				text += fmt.Sprintf(", %d modules downloaded", downloaded)
			}
			fmt.Fprintf(w.progress, "%s, %s\n", text, time.Since(w.begin).Round(time.Second))
		}
	}
}

func (w *watch) end() {
	close(w.done)
	w.ended.Wait()
}
