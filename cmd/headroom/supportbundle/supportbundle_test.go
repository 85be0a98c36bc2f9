package supportbundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keda-headroom/headroom/cmd/headroom/replay"
	"github.com/keda-headroom/headroom/cmd/headroom/supportbundle"
	"github.com/keda-headroom/headroom/internal/golden"
	"github.com/keda-headroom/headroom/internal/serverclient"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/recording"
)

var now = time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)

// incident is the recording that headroom replay is tested with.
const incident = "../replay/testdata/incident"

// headroom is a server with that recording, the plan that it ends with and a metric.
func headroom(t *testing.T) *httptest.Server {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(incident)); err != nil {
		t.Fatal(err)
	}
	recorder, err := recording.Open(recording.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := recorder.Close(); err != nil {
			t.Error(err)
		}
	})
	var last recording.Record
	for r, err := range recorder.Reader().Records(time.Time{}, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		last = r.Clone()
	}
	plan, _ := policy.Decide(last.At, last.Group, last.Snapshot, last.Ledger)
	state := &scaler.State{At: last.At, Decisions: []scaler.Decision{{Group: last.Group, Snapshot: last.Snapshot, Ledger: last.Ledger, Plan: plan}}}
	registry := prometheus.NewRegistry()
	target := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "headroom_workload_target_replicas", Help: "x"}, []string{"namespace", "workload"})
	target.WithLabelValues("shop", "order-workers").Set(4)
	registry.MustRegister(target)
	s := httptest.NewServer(scaler.NewHTTPServer(scaler.HTTPOptions{
		State: func() *scaler.State { return state }, Metrics: registry,
		Handlers: map[string]http.Handler{"GET " + recording.Path: recording.NewHandler(recorder)},
	}).Handler)
	t.Cleanup(s.Close)
	return s
}

func options(t *testing.T, server string) (supportbundle.Options, *bytes.Buffer) {
	t.Helper()
	out := &bytes.Buffer{}
	return supportbundle.Options{
		Client: serverclient.Client{Server: server}, From: "2026-03-01T12:00:00Z", To: "2026-03-01T13:00:00Z",
		File: filepath.Join(t.TempDir(), "bundle.tar.gz"), Out: out, Now: func() time.Time { return now }, Key: []byte("key"),
	}, out
}

func run(t *testing.T, o supportbundle.Options) {
	t.Helper()
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := supportbundle.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// unpack returns what is in an archive by name, and the directory that it was put into.
func unpack(t *testing.T, file string) (map[string]string, string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	found, dir := map[string]string{}, t.TempDir()
	for in := tar.NewReader(zip); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return found, dir
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		directory, name, _ := strings.Cut(header.Name, "/")
		if directory != "headroom-support-20260301T123000Z" {
			t.Errorf("expected everything in one directory, found %s", header.Name)
		}
		found[name] = string(text)
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

func about(t *testing.T, text string) (b supportbundle.Bundle) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// secrets are names of the incident.
var secrets = []string{"shop", "order", "-worker", "123456789012", "10.0."}

// An incident, as others get it, is decided again as it was, and says nothing of whose it
// is.
func TestIncident(t *testing.T) {
	o, out := options(t, headroom(t).URL)
	run(t, o)
	found, dir := unpack(t, o.File)
	var names []string
	for name, text := range found {
		if recording.IsSegment(filepath.Base(name)) {
			name = "recording/…"
		}
		names = append(names, name)
		if name == "README.txt" {
			continue
		}
		for _, s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("%q is left in %s", s, name)
			}
		}
	}
	slices.Sort(names)
	if want := []string{"README.txt", "bundle.json", "metrics.txt", "plans.json", "recording/…"}; !slices.Equal(slices.Compact(names), want) {
		t.Errorf("expected %v, found %v", want, names)
	}
	if !strings.Contains(found["metrics.txt"], `headroom_workload_target_replicas{namespace="x`) {
		t.Errorf("found metrics\n%s", found["metrics.txt"])
	}
	b := about(t, found["bundle.json"])
	if !b.At.Equal(now) || b.KeptNames || b.Decisions == 0 || len(b.Problems) > 0 || b.By.Version == "" {
		t.Errorf("found %+v", b)
	}
	var plans scaler.Plans
	if err := json.Unmarshal([]byte(found["plans.json"]), &plans); err != nil || len(plans.Plans) != 1 || len(plans.Plans[0].Workloads) != 1 {
		t.Fatalf("found %v, %+v", err, plans)
	}
	if !strings.Contains(out.String(), "Every name in it is replaced") || strings.Contains(out.String(), "Missing") {
		t.Errorf("said %q", out.String())
	}

	again := replay.Defaults()
	var report bytes.Buffer
	again.Recording, again.Out, again.Different = filepath.Join(dir, "recording"), &report, 0
	if err := again.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := replay.Run(t.Context(), again); err != nil {
		t.Errorf("expected what was decided: %v", err)
	}
	golden.Compare(t, "testdata/incident.golden", report.String())
	if workload := plans.Plans[0].Workloads[0].ID.String(); !strings.Contains(report.String(), workload) {
		t.Errorf("expected %s to be called the same in plans and recording, found\n%s", workload, report.String())
	}
}

func TestNamesAreKept(t *testing.T) {
	o, out := options(t, headroom(t).URL)
	o.KeepNames = true
	run(t, o)
	found, dir := unpack(t, o.File)
	if b := about(t, found["bundle.json"]); !b.KeptNames || b.Decisions == 0 {
		t.Errorf("found %+v", b)
	}
	if !strings.Contains(found["plans.json"], "shop/order-workers") || !strings.Contains(found["metrics.txt"], `workload="order-workers"`) || !strings.Contains(out.String(), "Names in it are as they are") {
		t.Errorf("found %v, said %q", slices.Sorted(maps.Keys(found)), out.String())
	}
	if _, err := recording.OpenReader(filepath.Join(dir, "recording")); err != nil {
		t.Error(err)
	}
}

// A directory needs no server; the whole is taken where nothing else is said.
func TestDirectory(t *testing.T) {
	for _, keep := range []bool{false, true} {
		o, _ := options(t, "")
		o.Recording, o.From, o.To, o.KeepNames = incident, "", "", keep
		run(t, o)
		found, dir := unpack(t, o.File)
		if b := about(t, found["bundle.json"]); b.Decisions == 0 || len(b.Problems) > 0 || found["plans.json"] != "" {
			t.Errorf("found %+v and %v", b, slices.Sorted(maps.Keys(found)))
		}
		if _, err := recording.OpenReader(filepath.Join(dir, "recording")); err != nil {
			t.Error(err)
		}
	}
}

// What can't be had is missing, and the rest is there.
func TestMissing(t *testing.T) {
	o, out := options(t, headroom(t).URL)
	o.From, o.To = "2001-01-01T00:00:00Z", "2001-01-01T01:00:00Z"
	run(t, o)
	found, _ := unpack(t, o.File)
	if b := about(t, found["bundle.json"]); len(b.Problems) != 1 || b.Problems[0] != "the recording: redacted" || found["plans.json"] == "" {
		t.Errorf("found %+v", b)
	}
	if !strings.Contains(out.String(), "Missing: the recording: nothing is recorded of the time asked for") {
		t.Errorf("said %q", out.String())
	}
}

// Where nothing can be had there is no archive, and what is sent in place of a recording
// gets nowhere.
func TestNothing(t *testing.T) {
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != recording.Path {
			http.NotFound(w, r)
			return
		}
		archive := tar.NewWriter(w)
		_ = archive.WriteHeader(&tar.Header{Name: "../escaped", Size: 1, Mode: 0o600})
		_, _ = archive.Write([]byte("x"))
		_ = archive.Close()
	}))
	defer evil.Close()
	o, _ := options(t, evil.URL)
	err := supportbundle.Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), `expected files of a recording, found "../escaped"`) || !strings.Contains(err.Error(), "the plans") {
		t.Errorf("found %v", err)
	}
	if _, err := os.Stat(o.File); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("expected no archive, found %v", err)
	}
}

func TestWrong(t *testing.T) {
	o, _ := options(t, "nowhere")
	if err := os.WriteFile(o.File, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o.From = "noon"
	err := o.Validate()
	for _, want := range []string{"--server:", "--from:", "--file: expected a file that is not there yet"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("expected %q in %v", want, err)
		}
	}
	if err := supportbundle.Run(t.Context(), o); err == nil {
		t.Error("expected --from to be refused")
	}
}

// The last hour is what a server is asked for where nothing is said.
func TestTheLastHour(t *testing.T) {
	var asked string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == recording.Path {
			asked = r.URL.RawQuery
		}
		http.NotFound(w, r)
	}))
	defer s.Close()
	o, _ := options(t, s.URL)
	o.From, o.To = "", ""
	if err := supportbundle.Run(t.Context(), o); err == nil || asked != "from=2026-03-01T11%3A30%3A00Z" {
		t.Errorf("asked for %q, found %v", asked, err)
	}
}
