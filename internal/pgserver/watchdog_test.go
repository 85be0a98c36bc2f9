package pgserver_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/pgserver"
)

// parentVariable makes the test program a process that starts a server and
// never stops it; its value says what becomes of the server.
const parentVariable = "PGSERVER_TEST_PARENT"

func TestMain(m *testing.M) {
	if state := os.Getenv(parentVariable); state != "" {
		if err := parent(state); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func parent(state string) error {
	ctx := context.Background()
	s, err := pgserver.Start(ctx, pgserver.Options{Dir: os.Getenv("PGSERVER_TEST_DIR")})
	if err != nil {
		return err
	}
	switch state {
	case "paused":
		err = s.Pause(ctx)
	case "crashed":
		err = s.Kill()
	}
	if err != nil {
		return err
	}
	fmt.Println("ready", s.Addr())
	select {}
}

// Nothing is left of a server whose owner was killed, whatever state it was
// in: no process, no file, no shared memory.
func TestOwnerKilled(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"running", "paused", "crashed"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			dir := parentDir(t)
			owner := exec.Command(os.Args[0])
			owner.Env = append(os.Environ(), parentVariable+"="+state, "PGSERVER_TEST_DIR="+dir)
			out, err := owner.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := owner.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = owner.Process.Kill() }) // usually long dead
			line, err := bufio.NewReader(out).ReadString('\n')
			addr, ready := strings.CutPrefix(strings.TrimSpace(line), "ready ")
			if err != nil || !ready {
				t.Fatalf("the owner said %q (%v)", line, err)
			}
			segment := sharedMemory(t, dir)

			if err := owner.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = owner.Wait() // killed, as we know

			eventually(t, "the server's directory is gone", func() bool {
				left, err := os.ReadDir(dir)
				return err == nil && len(left) == 0
			})
			if c, err := net.Dial("tcp", addr); err == nil {
				_ = c.Close()
				t.Errorf("somebody listens on %s", addr)
			}
			if left := processesBelow(t, dir); len(left) > 0 {
				t.Errorf("processes are left: %v", left)
			}
			if segments, err := os.ReadFile("/proc/sysvipc/shm"); err != nil || hasSegment(string(segments), segment) {
				t.Errorf("shared memory segment %s is left (%v)", segment, err)
			}
		})
	}
}

// sharedMemory returns the number of the segment of the server below dir.
func sharedMemory(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "data", "postmaster.pid"))
	if err != nil || len(files) != 1 {
		t.Fatalf("expected one postmaster.pid, found %v (%v)", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	if len(lines) < 7 || len(strings.Fields(lines[6])) != 2 {
		t.Fatalf("postmaster.pid has no shared memory segment:\n%s", data)
	}
	return strings.Fields(lines[6])[1]
}

// hasSegment reads the table of System V segments, whose second column is
// their number.
func hasSegment(table, number string) bool {
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) > 1 && f[1] == number {
			return true
		}
	}
	return false
}

func processesBelow(t *testing.T, dir string) (found []string) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && strings.HasPrefix(cwd, dir+"/") {
			found = append(found, link)
		}
	}
	return found
}

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for ctx := deadline(t); !check(); {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("waited %v until %s", patience, what)
		}
	}
}
