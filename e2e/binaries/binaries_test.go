package binaries_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/e2e/binaries"
)

func TestBuild(t *testing.T) {
	built, err := binaries.Build(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), built.ControlPlane, "kube-apiserver", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(out), "Kubernetes "+built.Kubernetes+"\n"; got != want {
		t.Errorf("expected the control plane to say %q, got %q", want, got)
	}
	if _, err := os.Stat(filepath.Join(built.KEDAConfig, "crd", "bases", "keda.sh_scaledobjects.yaml")); err != nil {
		t.Error(err)
	}
	for _, path := range []string{built.Operator, built.Adapter, built.Webhooks} {
		if info, err := os.Stat(path); err != nil || info.Mode()&0o100 == 0 {
			t.Errorf("%s: expected a program, got %v, %v", path, info, err)
		}
	}
	// What is there is not built again.
	var said strings.Builder
	if again, err := binaries.Build(t.Context(), &said); err != nil || again != built || said.String() != "" {
		t.Errorf("again: got %+v, %v, and it said %q", again, err, said.String())
	}
}

func TestProgram(t *testing.T) {
	path, err := binaries.Program(t.Context(), t.Output(), "github.com/keda-headroom/headroom/cmd/headroom")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), path, "version").Output()
	if err != nil || len(out) == 0 {
		t.Errorf("it said %q, %v", out, err)
	}
}

func TestProgramThatIsNotThere(t *testing.T) {
	const path = "github.com/keda-headroom/headroom/e2e/nothing"
	_, err := binaries.Program(t.Context(), nil, path)
	if err == nil || !strings.Contains(err.Error(), "build "+path) || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("expected what the go command says of %s, got %v", path, err)
	}
}

func TestBuildCanBeEnded(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir()) // nothing is kept there
	ctx, cancel := context.WithCancel(t.Context())
	begun := make(chan struct{}, 100)
	go func() {
		<-begun
		cancel()
	}()
	_, err := binaries.Build(ctx, writerFunc(func([]byte) { begun <- struct{}{} }))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("expected it to be canceled, got %v", err)
	}
}

// TestOneBuildsAtATime: the second waits, and gives up when it is told to.
func TestOneBuildsAtATime(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun := make(chan struct{}, 100)
	ended := make(chan error, 1)
	go func() {
		_, err := binaries.Build(ctx, writerFunc(func([]byte) { begun <- struct{}{} }))
		ended <- err
	}()
	<-begun
	second, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	if _, err := binaries.Build(second, io.Discard); !errors.Is(err, context.DeadlineExceeded) ||
		!strings.Contains(err.Error(), "wait for whoever builds") {
		t.Errorf("expected to wait in vain, got %v", err)
	}
	cancel()
	<-ended
}

// writerFunc is called with what is written.
type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}
