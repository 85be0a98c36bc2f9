package serve

import (
	"crypto/tls"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/keda-headroom/headroom/internal/testcert"
)

func TestKEDAIsAnsweredOverMutualTLS(t *testing.T) {
	const name = "headroom.headroom.svc"
	directory, authority := t.TempDir(), testcert.New(t, "authority")
	options := Defaults()
	options.Policies, options.Fleets = []string{directory}, filepath.Join(directory, "fleets.json")
	options.TLSCertFile, options.TLSKeyFile = filepath.Join(directory, "tls.crt"), filepath.Join(directory, "tls.key")
	options.TLSClientCAFile, options.TLSInterval = filepath.Join(directory, "ca.crt"), 10*time.Millisecond
	if err := Run(t.Context(), options); err == nil || !strings.Contains(err.Error(), "tls.crt: no such file") {
		t.Errorf("without certificates: got %v", err)
	}
	put := func(p testcert.Pair) {
		replace(t, options.TLSCertFile, p.Certificate)
		replace(t, options.TLSKeyFile, p.Key)
		replace(t, options.TLSClientCAFile, authority.PEM)
	}
	put(authority.Issue(t, name))
	r := start(t, options)

	asks := func(own ...tls.Certificate) error {
		connection, err := grpc.NewClient(r.GRPC, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
			RootCAs: authority.Pool(t), ServerName: name, Certificates: own, MinVersion: tls.VersionTLS12,
		})))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = connection.Close() }()
		_, err = pb.NewExternalScalerClient(connection).GetMetricSpec(t.Context(), ask(orders))
		return err
	}
	keda := authority.Issue(t, "keda-operator").TLS(t)
	if err := asks(keda); err != nil {
		t.Errorf("KEDA is refused: %v", err)
	}
	if err := asks(); status.Code(err) != codes.Unavailable {
		t.Errorf("a client without a certificate got %v", err)
	}
	if _, err := r.client(t).GetMetricSpec(t.Context(), ask(orders)); status.Code(err) != codes.Unavailable {
		t.Errorf("a client without TLS got %v", err)
	}

	put(authority.Issue(t, name))
	eventually(t, r.log, "another certificate", func() (string, bool) {
		return "", strings.Contains(r.log.String(), "certificates replaced")
	})
	if err := asks(keda); err != nil {
		t.Errorf("KEDA is refused: %v", err)
	}
}

func TestTLSOptionsThatCanNotBeRight(t *testing.T) {
	for words, wrong := range map[string]func(*Options){
		"found \"tls.crt\" and \"\"": func(o *Options) { o.TLSCertFile = "tls.crt" },
		"found \"\" and \"tls.key\"": func(o *Options) { o.TLSKeyFile = "tls.key" },
		"--tls-client-ca-file":       func(o *Options) { o.TLSClientCAFile = "ca.crt" },
	} {
		options := Defaults()
		options.Policies, options.Fleets = []string{"policy.yaml"}, "fleets.json"
		wrong(&options)
		if err := options.Validate(); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: got %v", words, err)
		}
	}
}
