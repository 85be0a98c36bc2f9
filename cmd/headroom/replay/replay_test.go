package replay_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keda-headroom/headroom/cmd/headroom/replay"
	"github.com/keda-headroom/headroom/internal/golden"
	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/internal/policyfiles"
	"github.com/keda-headroom/headroom/internal/replay/replaytest"
	"github.com/keda-headroom/headroom/scaler/recording"
)

// incident is a burst of messages in which another application takes 20 connections
// for half a minute, as it was recorded. -update records it anew.
func incident(t *testing.T) string {
	t.Helper()
	const dir = "testdata/incident"
	if golden.Updating() {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		recordIncident(t, dir)
	}
	return dir
}

func recordIncident(t *testing.T, dir string) {
	t.Helper()
	set, err := policyfiles.Load([]string{"testdata/policy.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	set.Databases[0].Reserve = intorpercent.Count(10)
	set.Workloads = set.Workloads[1:] // order-workers
	replaytest.Record(t, dir, set)
	if err := os.Remove(filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
}

func options(t *testing.T) (replay.Options, *bytes.Buffer) {
	o := replay.Defaults()
	out := &bytes.Buffer{}
	o.Recording, o.Policies, o.Out = incident(t), []string{"testdata/policy.yaml"}, out
	return o, out
}

// An incident by another policy, as a person reads it.
func TestIncident(t *testing.T) {
	o, out := options(t)
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := replay.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "testdata/incident.golden", out.String())
}

func TestThresholds(t *testing.T) {
	for want, change := range map[string]func(o *replay.Options){
		"":                                    func(o *replay.Options) { o.MorePodHours, o.Different, o.Limited, o.PeakConnections = 0, 100, 100, 70 },
		"another target":                      func(o *replay.Options) { o.Different = 5 },
		"limited by connections":              func(o *replay.Options) { o.Limited = 5 },
		"50 connections promised, at most 40": func(o *replay.Options) { o.PeakConnections = 40 },
	} {
		o, out := options(t)
		o.Output = "json"
		change(&o)
		err := replay.Run(t.Context(), o)
		if errors.Is(err, replay.ErrFindings) != (want != "") || want == "" && err != nil {
			t.Errorf("%q: found %v", want, err)
		}
		var r replay.Result
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(r.Findings, "; "), want) || r.OpenLoop == "" {
			t.Errorf("%q: found %v", want, r.Findings)
		}
	}
}

// With the reserve that was recorded more pods come than with the larger one.
func TestRise(t *testing.T) {
	o, out := options(t)
	text, err := os.ReadFile("testdata/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	o.Policies = []string{filepath.Join(t.TempDir(), "policy.yaml")}
	if err := os.WriteFile(o.Policies[0], bytes.ReplaceAll(text, []byte("reserve: 30"), []byte("reserve: 0")), 0o600); err != nil {
		t.Fatal(err)
	}
	o.MorePodHours = 0
	if err := replay.Run(t.Context(), o); !errors.Is(err, replay.ErrFindings) || !strings.Contains(out.String(), "FAIL shop/order-workers: ") {
		t.Errorf("expected more pod hours to be found, found %v\n%s", err, out)
	}
}

func TestRedact(t *testing.T) {
	o, out := options(t)
	o.Policies, o.Redact = nil, filepath.Join(t.TempDir(), "out")
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := replay.Run(t.Context(), o); err != nil || !strings.Contains(out.String(), "every name replaced") {
		t.Fatal(err, out)
	}
	if _, err := recording.OpenReader(o.Redact); err != nil {
		t.Error(err)
	}
}

func TestWrong(t *testing.T) {
	o := replay.Options{Redact: "x", Policies: []string{"y"}, From: "noon", Step: -1, Output: "x"}
	err := o.Validate()
	for _, want := range []string{"--recording:", "--policy or --redact", "--from:", "--step:", "--output:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("expected %q in %v", want, err)
		}
	}
	o = replay.Defaults()
	o.From, o.To = "2026-03-01T12:00:00Z", "2026-03-01T11:00:00Z"
	if err := o.Validate(); err == nil || !strings.Contains(err.Error(), "--from before --to") {
		t.Errorf("found %v", err)
	}
	o, _ = options(t)
	o.Recording = t.TempDir()
	if err := replay.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "expected a recording") {
		t.Errorf("found %v", err)
	}
}
