package binaries

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/keda-headroom/headroom/internal/process"
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
	// Not by CommandContext, which ends the go command but not its compilers.
	cmd := exec.Command("go", append(args, importPath)...)
	cmd.Dir = dir
	cmd.WaitDelay = 10 * time.Second
	watch := newWatch(progress, filepath.Base(strings.TrimSuffix(output, ".partial")))
	defer watch.end()
	cmd.Stderr = watch
	compilers, err := process.Start(cmd)
	if err != nil {
		return err
	}
	select {
	case <-compilers.Ended():
	case <-ctx.Done():
		compilers.Kill()
		<-compilers.Ended()
		return ctx.Err()
	}
	if err := compilers.Err(); err != nil {
		return errors.Join(err, lastLines(watch.others()))
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
	rest                 []string
	partial              []byte // a line that hasn't ended yet
}

func newWatch(progress io.Writer, title string) *watch {
	w := &watch{progress: progress, title: title, begin: time.Now(), done: make(chan struct{})}
	w.ended.Go(w.report)
	return w
}

// Write counts what the go command says it does, line by line, and keeps what else it
// says.
func (w *watch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.partial = append(w.partial, p...)
	for {
		line, rest, found := bytes.Cut(w.partial, []byte("\n"))
		if !found {
			return len(p), nil
		}
		w.partial = rest
		switch text := string(line); {
		case strings.HasPrefix(text, "go: downloading "):
			w.downloaded++
		case text != "" && !strings.ContainsAny(text, " \t:#"):
			w.compiled++
		default:
			w.rest = append(w.rest, text)
		}
	}
}

func (w *watch) others() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(append(w.rest, string(w.partial)), "\n")
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
