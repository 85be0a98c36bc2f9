package recording_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/scaler/recording"
)

// What a server gives over HTTP is the recording: kept in memory or in files, while it
// goes on and after files were sealed.
func TestHandler(t *testing.T) {
	for name, dir := range map[string]string{"memory": "", "files": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			r := open(t, recording.Options{Dir: dir, MaxBytes: 64 << 20, SegmentBytes: 16 << 10, Queue: 10_000, Program: "test"})
			w := newWorld(1, "orders", 5)
			var all []time.Time
			for range 200 {
				m := w.step(2 * time.Second)
				record(r, m)
				all = append(all, m.at)
			}
			server := httptest.NewServer(recording.NewHandler(r))
			defer server.Close()
			get := func(query url.Values) (status int, kind string, body []byte) {
				t.Helper()
				response, err := http.Get(server.URL + recording.Path + "?" + query.Encode())
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				body, err = io.ReadAll(response.Body)
				if err != nil {
					t.Fatal(err)
				}
				return response.StatusCode, response.Header.Get("Content-Type"), body
			}

			status, kind, body := get(nil)
			if status != http.StatusOK || kind != "application/x-tar" {
				t.Fatalf("found %d, %s", status, body)
			}
			whole := unpack(t, body)
			if got := times(t, whole, time.Time{}, time.Time{}); len(got) == 0 || !got[0].Equal(all[0]) {
				t.Errorf("expected what was recorded from %s on, found %d decisions", all[0], len(got))
			}
			reader := r.Reader()
			if want, got := timesOf(t, reader, time.Time{}, time.Time{}), times(t, whole, time.Time{}, time.Time{}); len(want) != len(got) {
				t.Errorf("expected %d decisions, found %d", len(want), len(got))
			}

			from, to := all[len(all)/2], all[len(all)/2+20]
			_, _, body = get(url.Values{"from": {from.Format(time.RFC3339Nano)}, "to": {to.Format(time.RFC3339Nano)}})
			part := unpack(t, body)
			if want, got := timesOf(t, reader, from, to), times(t, part, from, to); len(want) == 0 || len(want) != len(got) {
				t.Errorf("expected %d decisions, found %d", len(want), len(got))
			}
			if few, many := files(t, part), files(t, whole); few >= many {
				t.Errorf("expected fewer files than all %d, found %d", many, few)
			}

			for want, query := range map[int]url.Values{
				http.StatusBadRequest: {"from": {"noon"}},
				http.StatusNotFound:   {"to": {"2001-01-01T00:00:00Z"}},
			} {
				status, _, body := get(query)
				var failure struct{ Error string }
				if err := json.Unmarshal(body, &failure); err != nil || status != want || failure.Error == "" {
					t.Errorf("%v: expected %d and an error, found %d, %s", query, want, status, body)
				}
			}
		})
	}
}

func unpack(t *testing.T, archive []byte) string {
	t.Helper()
	dir := t.TempDir()
	in := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		if !recording.IsSegment(header.Name) || strings.Contains(header.Name, "/") {
			t.Fatalf("expected files of a recording, found %q", header.Name)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, header.Name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func files(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func times(t *testing.T, dir string, from, to time.Time) []time.Time {
	t.Helper()
	reader, err := recording.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	return timesOf(t, reader, from, to)
}

func timesOf(t *testing.T, reader *recording.Reader, from, to time.Time) (all []time.Time) {
	t.Helper()
	for record, err := range reader.Records(from, to) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, record.At)
	}
	return all
}
