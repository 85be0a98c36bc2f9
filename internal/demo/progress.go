package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// progress tells a person what happens, while it happens: one line that renews
// itself on a terminal, plain lines elsewhere.
type progress struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	open     bool // a status line is on the terminal
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	}
	return p
}

// say writes a line that stays.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep()
	_, _ = fmt.Fprintf(p.out, format+"\n", args...) // nobody listens any more
}

// keep ends a status line, so that the next line does not overwrite it.
func (p *progress) keep() {
	if p.open {
		_, _ = fmt.Fprintln(p.out)
		p.open = false
	}
}

// status is how a run stands.
type status struct {
	run            contender
	elapsed        time.Duration
	backlog        int
	spec, pods     int
	ready          int
	used, usable   int
	workers, other int // refusals so far
	spiking        bool
}

func (p *progress) status(s status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.terminal {
		_, _ = fmt.Fprintln(p.out, s)
		return
	}
	_, _ = fmt.Fprintf(p.out, "\r%s\x1b[K", s)
	p.open = true
}

// done keeps the last status line.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep()
}

const barWidth = 20

func (s status) String() string {
	filled := 0
	if s.usable > 0 {
		filled = min(barWidth, s.used*barWidth/s.usable)
	}
	text := fmt.Sprintf("%-8s %3.0fs  backlog %4d  replicas %3d (%d pods, %d ready)  [%s%s] %d/%d  refused %d+%d",
		s.run, s.elapsed.Seconds(), s.backlog, s.spec, s.pods, s.ready,
		strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled), s.used, s.usable, s.workers, s.other)
	if s.spiking {
		text += "  the other application spikes"
	}
	return text
}
