package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

var orders = metrics.ID{Namespace: "shop", Name: "orders"}

func open(t *testing.T, location string) Source {
	t.Helper()
	source, err := Open(location)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// wantSpec reads source and holds what spec.replicas of shop/orders is.
func wantSpec(t *testing.T, source Source, want int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	fleets, err := source.Read(ctx)
	if got, found := fleets.Fleets[orders]; err != nil || !found || got.SpecReplicas != want {
		t.Errorf("got %+v, %v; want spec.replicas %d", fleets, err, want)
	}
}

// wantFailure reads source and holds that the error has these words.
func wantFailure(ctx context.Context, t *testing.T, source Source, words ...string) error {
	t.Helper()
	fleets, err := source.Read(ctx)
	if err == nil || fleets.Fleets != nil {
		t.Fatalf("got %+v, %v; want an error", fleets, err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v\nwant an error with %q", err, word)
		}
	}
	return err
}

func replicas(n int) string {
	return fmt.Sprintf(`{"fleets": {"shop/orders": {"specReplicas": %d, "statusReplicas": 0}}}`, n)
}

func TestAFileIsReadAnewEachTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fleets.json")
	source := open(t, path)

	// It may come later.
	if err := wantFailure(t.Context(), t, source, path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
	write(t, path, replicas(3))
	wantSpec(t, source, 3)
	write(t, path+".new", replicas(4))
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	wantSpec(t, source, 4)

	// As a mounted ConfigMap: a link to a file in a directory that is replaced.
	link := filepath.Join(t.TempDir(), "linked.json")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	wantSpec(t, open(t, link), 4)

	// Half of it is nothing.
	write(t, path, replicas(5)[:20])
	wantFailure(t.Context(), t, source, "fleet document "+path+": expected JSON: line 1")
	write(t, path, strings.Replace(replicas(5), "specReplicas", "specreplicas", 1))
	wantFailure(t.Context(), t, source, "fleet document "+path+`: fleets["shop/orders"].specreplicas: unknown field`)
}

func TestOnlyRegularFilesAreRead(t *testing.T) {
	directory := t.TempDir()
	wantFailure(t.Context(), t, open(t, directory), "expected "+directory+" to be a regular file")
	pipe := filepath.Join(directory, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	wantFailure(t.Context(), t, open(t, pipe), "expected "+pipe+" to be a regular file")
}

func TestAFileTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large.json")
	write(t, path, replicas(1))
	if err := os.Truncate(path, MaxBytes+1); err != nil { // sparse: takes no space
		t.Fatal(err)
	}
	wantFailure(t.Context(), t, open(t, path), fmt.Sprintf("expected at most %d bytes in %s, found more", MaxBytes, path))
}

func TestACanceledReadReadsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fleets.json")
	write(t, path, replicas(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t, path).Read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

func TestAServerIsAskedAnewEachTime(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.RequestURI() != "/fleets?token=hunter2" || r.Header.Get("Accept") != "application/json" {
			t.Errorf("asked %s %s, Accept %q", r.Method, r.URL.RequestURI(), r.Header.Get("Accept"))
		}
		fmt.Fprint(w, replicas(int(asked.Add(1))))
	}))
	defer server.Close()
	source := open(t, server.URL+"/fleets?token=hunter2")
	wantSpec(t, source, 1)
	wantSpec(t, source, 2)
	if err := source.(io.Closer).Close(); err != nil {
		t.Error(err)
	}
}

func TestServersThatGiveNoDocument(t *testing.T) {
	release := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/denied", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, replicas(1))
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := fmt.Fprint(w, strings.Repeat(" ", 1<<10)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	defer close(release)

	for path, want := range map[string]string{
		"/denied":  "asking " + server.URL + "/denied: expected HTTP status 200, found 403 Forbidden",
		"/page":    "fleet document " + server.URL + "/page: expected JSON: line 1, column 1: invalid character '<'",
		"/cut":     "unexpected EOF",
		"/endless": "expected at most 65536 bytes in " + server.URL + "/endless, found more",
	} {
		source := open(t, server.URL+path+"?token=hunter2")
		if limit := &source.(*remote).limit; *limit != MaxBytes {
			t.Errorf("reads up to %d bytes, want %d", *limit, MaxBytes)
		} else {
			*limit = 1 << 16 // so that this is quick
		}
		err := wantFailure(t.Context(), t, source, want)
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error repeats the URL's query: %v", err)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := wantFailure(ctx, t, open(t, server.URL+"/hang?token=hunter2"), "asking "+server.URL+"/hang: "); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v, want context.DeadlineExceeded, without the query", err)
	}
}

func TestAServerThatIsGone(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	source := open(t, server.URL+"/fleets?token=hunter2")
	server.Close()
	if err := wantFailure(t.Context(), t, source, "asking "+server.URL+"/fleets: ", "connection refused"); strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error repeats the URL's query: %v", err)
	}
}

func TestLocationsThatAreRefused(t *testing.T) {
	for location, want := range map[string]string{
		"":                                "found nothing",
		"ftp://host/fleets?token=hunter2": `a URL such as http://localhost:8000/fleets, found "ftp://host/fleets"`,
		"http://":                         "expected the path of a file, or a URL",
		"http://host:port/fleets":         "expected the path of a file, or a URL",
		"http://user:hunter2@host/fleets": "expected a URL without credentials, found an @ in the http URL",
	} {
		source, err := Open(location)
		if err == nil || source != nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q) = %v, %v; want an error with %q and no secret", location, source, err, want)
		}
	}
}
