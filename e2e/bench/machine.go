package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// loadPeriod is how often the load average is looked at: it is renewed every 5 s.
const loadPeriod = 5 * time.Second

// processorTime is what all processors together did since the machine started,
// in ticks.
type processorTime struct{ idle, all uint64 }

// readProcessorTime reads the first line of /proc/stat: cpu user nice system
// idle iowait irq softirq steal …
func readProcessorTime(stat []byte) (processorTime, error) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := strings.Fields(string(line))
	if len(fields) < 9 || fields[0] != "cpu" {
		return processorTime{}, fmt.Errorf("/proc/stat: expected a line that begins with cpu, found %.60q", line)
	}
	var t processorTime
	for i, field := range fields[1:9] { // guest time is part of user's
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return processorTime{}, fmt.Errorf("/proc/stat: %w", err)
		}
		t.all += n
		if i == 3 || i == 4 {
			t.idle += n
		}
	}
	return t, nil
}

// busy is the share of processor time that was used since an earlier moment.
func (t processorTime) busy(since processorTime) float64 {
	all := t.all - since.all
	if t.all <= since.all {
		return 0
	}
	return 1 - float64(t.idle-since.idle)/float64(all)
}

// readLoad reads the load average of a minute from /proc/loadavg.
func readLoad(loadavg []byte) (float64, error) {
	field, _, _ := bytes.Cut(loadavg, []byte(" "))
	return strconv.ParseFloat(string(field), 64)
}

// readMemoryGiB reads the machine's memory from /proc/meminfo.
func readMemoryGiB(meminfo []byte) (float64, error) {
	for lines := bufio.NewScanner(bytes.NewReader(meminfo)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 3 && fields[0] == "MemTotal:" {
			kib, err := strconv.ParseFloat(fields[1], 64)
			return kib / (1 << 20), err
		}
	}
	return 0, fmt.Errorf("/proc/meminfo: expected a line MemTotal, found none")
}

// machine is what everything runs on.
type machine struct {
	cores     int
	memoryGiB float64
}

func thisMachine() (machine, error) {
	meminfo, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return machine{}, fmt.Errorf("a benchmark says how busy the machine is, which only Linux does here: %w", err)
	}
	memory, err := readMemoryGiB(meminfo)
	return machine{cores: runtime.NumCPU(), memoryGiB: memory}, err
}

// burden is how busy the machine is while something is played.
type burden struct {
	mu   sync.Mutex
	load float64 // the highest
}

// watch looks at the load until ctx ends.
func (b *burden) watch(ctx context.Context) {
	for sleepUntil(ctx, time.Now().Add(loadPeriod)) {
		text, err := os.ReadFile("/proc/loadavg")
		if err != nil {
			continue
		}
		if load, err := readLoad(text); err == nil {
			b.mu.Lock()
			b.load = max(b.load, load)
			b.mu.Unlock()
		}
	}
}

func (b *burden) highest() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.load
}

func processorTimeNow() (processorTime, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return processorTime{}, err
	}
	return readProcessorTime(stat)
}
