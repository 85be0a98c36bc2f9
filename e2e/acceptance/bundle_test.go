package acceptance

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/keda-headroom/headroom/cmd/headroom/replay"
	"github.com/keda-headroom/headroom/cmd/headroom/supportbundle"
)

// TestAnIncidentIsGivenToOthers takes what Headroom knows and has recorded, without
// names, and makes the decisions again without policies.
func TestAnIncidentIsGivenToOthers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	f := s.start(&fleet{name: "orders"})
	s.policy("policy", database(othersWindow, f.governed("Target")))
	s.deploy(f)
	s.send(f.queue, 30)
	s.runs("orders", 3)

	dir := t.TempDir()
	file := filepath.Join(dir, "bundle.tar.gz")
	leads, err := s.headroom.pod(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server := "http://" + net.JoinHostPort(leads.Status.PodIP, "8080")
	if out, err := exec.CommandContext(t.Context(), s.program, "support-bundle", "--server", server, "--file", file).CombinedOutput(); err != nil || bytes.Contains(out, []byte("Missing")) {
		t.Fatalf("something is missing: %v\n%s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), "tar", "-xzf", file, "-C", dir, "--strip-components=1").CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	text, err := os.ReadFile(filepath.Join(dir, "bundle.json"))
	if err != nil {
		t.Fatal(err)
	}
	var about supportbundle.Bundle
	if err := json.Unmarshal(text, &about); err != nil || about.Decisions == 0 || len(about.Problems) > 0 {
		t.Errorf("found %v, %s", err, text)
	}
	for _, name := range []string{"plans.json", "metrics.txt"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || len(text) == 0 || bytes.Contains(text, []byte(s.namespace)) {
			t.Errorf("%s has %d bytes, and should have no %q in them: %v", name, len(text), s.namespace, err)
		}
	}

	var report bytes.Buffer
	again := replay.Defaults()
	again.Recording, again.Out = filepath.Join(dir, "recording"), &report
	if err := again.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := replay.Run(t.Context(), again); err != nil {
		t.Error(err)
	}
	t.Log(report.String())
}
