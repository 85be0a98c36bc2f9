package acceptance

import (
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"sigs.k8s.io/yaml"

	"github.com/keda-headroom/headroom/internal/testcert"
)

// with installs Headroom anew with one of its components until the test ends.
func (h *installation) with(t *testing.T, component string) {
	t.Helper()
	overlay := t.TempDir()
	from := func(parts ...string) string {
		path, err := filepath.Abs(filepath.Join(append([]string{manifests}, parts...)...))
		if err == nil {
			path, err = filepath.Rel(overlay, path)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
		"resources": []string{from("base")}, "components": []string{from("components", component)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.from(t, filepath.Join(manifests, "base")) })
	h.from(t, overlay)
}

// from installs Headroom from a directory, and waits until it is ready.
func (h *installation) from(t *testing.T, dir string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	if err := h.world.ApplyKustomization(ctx, dir); err != nil {
		t.Fatal(err)
	}
	if err := h.awaitReady(ctx); err != nil {
		t.Fatal(err)
	}
}

// certificateSecret holds a certificate, its key, and an authority.
func certificateSecret(namespace, name string, ca []byte, pair testcert.Pair) string {
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": name, "namespace": namespace},
		"stringData": map[string]string{"ca.crt": string(ca), "tls.crt": string(pair.Certificate), "tls.key": string(pair.Key)},
	})
	if err != nil {
		panic(err) // of strings
	}
	return string(text)
}

const triggerAuthentication = `
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: headroom, namespace: $NAMESPACE}
spec:
  secretTargetRef: [$PARAMETERS]
`

// TestKEDAAsksOverTLS installs Headroom with each of the components for it, and
// scales a fleet from zero and back.
func TestKEDAAsksOverTLS(t *testing.T) {
	const (
		authority = "{parameter: caCert, name: client, key: ca.crt}"
		itself    = ", {parameter: tlsClientCert, name: client, key: tls.crt}, {parameter: tlsClientKey, name: client, key: tls.key}"
	)
	for _, c := range []struct {
		component, parameters string
		mutual                bool
	}{
		{"tls", authority, false},
		{"mutual-tls", authority + itself, true},
	} {
		t.Run(c.component, func(t *testing.T) {
			s := newSite(t)
			ca := testcert.New(t, "authority")
			client := ca.Issue(t, "keda-operator")
			s.apply(certificateSecret(headroomNamespace, "headroom-tls", ca.PEM, ca.Issue(t, "headroom.headroom.svc")))
			s.apply(certificateSecret(s.namespace, "client", ca.PEM, client))
			s.apply(s.fill(triggerAuthentication, "PARAMETERS", c.parameters))
			s.headroom.with(t, c.component)

			f := s.start(&fleet{name: "payments", metadata: `enableTLS: "true"`, auth: "authenticationRef: {name: headroom}"})
			s.policy("policy", database(othersWindow, f.governed("Target")))
			s.deploy(f)
			s.send(f.queue, 20)
			s.runs("payments", 2)

			trusting := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ca.Pool(t)}
			known := trusting.Clone()
			known.Certificates = []tls.Certificate{client.TLS(t)}
			stranger := trusting.Clone()
			stranger.Certificates = []tls.Certificate{testcert.New(t, "another authority").Issue(t, "stranger").TLS(t)}
			s.answers(s.client(credentials.NewTLS(known)), "payments", 2)
			s.refuses(s.client(insecure.NewCredentials()), "plain text")
			if c.mutual {
				s.refuses(s.client(credentials.NewTLS(trusting)), "a client without a certificate")
				s.refuses(s.client(credentials.NewTLS(stranger)), "a client with another authority's certificate")
			} else {
				s.answers(s.client(credentials.NewTLS(trusting)), "payments", 2)
			}

			s.purge(f.queue)
			s.runs("payments", 0)
		})
	}
}

// refuses fails where a client is answered.
func (s *site) refuses(client pb.ExternalScalerClient, who string) {
	s.t.Helper()
	answer, err := s.ask(s.t.Context(), client, "payments")
	if status.Code(err) != codes.Unavailable {
		s.t.Errorf("%s: answered %v, %v; want the connection to be refused", who, answer, err)
	}
	if err != nil && strings.Contains(err.Error(), "connection refused") {
		s.t.Errorf("%s: nobody listens: %v", who, err)
	}
}
