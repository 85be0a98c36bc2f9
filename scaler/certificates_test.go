package scaler

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/keda-headroom/headroom/internal/testcert"
	"github.com/keda-headroom/headroom/policy"
)

const serverName = "headroom.headroom.svc"

// vault is a directory of certificates as the kubelet keeps one: what is read is
// a link to a link, and all of it is replaced at one instant.
type vault struct {
	t       *testing.T
	dir     string
	version int
}

func newVault(t *testing.T) *vault { return &vault{t: t, dir: t.TempDir()} }

// put replaces everything in it.
func (v *vault) put(pair testcert.Pair, clientCA []byte) {
	v.t.Helper()
	v.version++
	next := filepath.Join(v.dir, ".."+string(rune('a'+v.version)))
	if err := os.Mkdir(next, 0o700); err != nil {
		v.t.Fatal(err)
	}
	for name, content := range map[string][]byte{"tls.crt": pair.Certificate, "tls.key": pair.Key, "ca.crt": clientCA} {
		if content == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(next, name), content, 0o600); err != nil {
			v.t.Fatal(err)
		}
	}
	data := filepath.Join(v.dir, "..data")
	if err := os.Symlink(filepath.Base(next), data+".new"); err != nil {
		v.t.Fatal(err)
	}
	if err := os.Rename(data+".new", data); err != nil {
		v.t.Fatal(err)
	}
}

func (v *vault) options(mutual bool) CertificateOptions {
	path := func(name string) string { return filepath.Join(v.dir, "..data", name) }
	o := CertificateOptions{Certificate: path("tls.crt"), Key: path("tls.key"), Interval: 10 * time.Millisecond}
	if mutual {
		o.ClientCA = path("ca.crt")
	}
	return o
}

// diary is a log that is read while it is written.
type diary struct {
	mu   sync.Mutex
	text strings.Builder
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(p)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.String()
}

// says waits until it has said something so many times.
func (d *diary) says(t *testing.T, what string, times int) {
	t.Helper()
	eventually(t, what, func() bool { return strings.Count(d.String(), what) >= times })
}

// serveTLS starts a server whose certificates are the vault's.
func serveTLS(t *testing.T, v *vault, mutual bool) (address string, log *diary) {
	t.Helper()
	log = &diary{}
	options := v.options(mutual)
	options.Log = slog.New(slog.NewTextHandler(log, nil))
	certificates, err := LoadCertificates(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { certificates.Run(ctx) })
	t.Cleanup(running.Wait)
	t.Cleanup(cancel)
	b := newBoard()
	b.publish(policy.WorkloadPlan{ID: orders, Mode: policy.Target, Target: 3, Value: 3, Reason: policy.Demand})
	address, _, _ = serve(t, ServerOptions{State: b.State, TLS: certificates.Config()})
	return address, log
}

// calls makes one connection and asks on it, as KEDA does.
func calls(t *testing.T, address string, config *tls.Config) error {
	t.Helper()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	answer, err := pb.NewExternalScalerClient(connection).GetMetrics(ctx, &pb.GetMetricsRequest{ScaledObjectRef: ask(orders)})
	if err == nil && answer.GetMetricValues()[0].GetMetricValueFloat() != 3 {
		t.Errorf("got %v, want 3", answer)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	return err
}

// presented returns the serial number of the certificate that the server shows.
func presented(t *testing.T, address string, config *tls.Config) string {
	t.Helper()
	config = config.Clone()
	config.NextProtos = []string{"h2"}
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: within}, Config: config}
	connection, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	return connection.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Text(16)
}

func trusting(t *testing.T, a *testcert.Authority, own ...testcert.Pair) *tls.Config {
	c := &tls.Config{RootCAs: a.Pool(t), ServerName: serverName, MinVersion: tls.VersionTLS12}
	for _, p := range own {
		c.Certificates = append(c.Certificates, p.TLS(t))
	}
	return c
}

func TestTheServerIsWhoItSaysItIs(t *testing.T) {
	authority, v := testcert.New(t, "authority"), newVault(t)
	v.put(authority.Issue(t, serverName), nil)
	address, _ := serveTLS(t, v, false)
	if err := calls(t, address, trusting(t, authority)); err != nil {
		t.Error(err)
	}
	if err := calls(t, address, trusting(t, testcert.New(t, "another"))); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("whoever trusts another authority got %v", err)
	}
	other := trusting(t, authority)
	other.ServerName = "another.headroom.svc"
	if err := calls(t, address, other); err == nil || !strings.Contains(err.Error(), "not "+other.ServerName) {
		t.Errorf("whoever asks for another name got %v", err)
	}
	old := trusting(t, authority)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if err := calls(t, address, old); err == nil {
		t.Error("TLS 1.1 is answered")
	}
}

func TestClientsWithoutACertificateOfTheAuthorityAreRefused(t *testing.T) {
	authority, v := testcert.New(t, "authority"), newVault(t)
	v.put(authority.Issue(t, serverName), authority.PEM)
	address, _ := serveTLS(t, v, true)
	if err := calls(t, address, trusting(t, authority, authority.Issue(t, "keda-operator"))); err != nil {
		t.Error(err)
	}
	stranger := testcert.New(t, "authority") // its name is no help
	for who, config := range map[string]*tls.Config{
		"nobody":     trusting(t, authority),
		"a stranger": trusting(t, authority, stranger.Issue(t, "keda-operator")),
	} {
		if err := calls(t, address, config); err == nil {
			t.Errorf("%s is answered", who)
		}
	}
}

func TestCertificatesAreReplacedWhileServing(t *testing.T) {
	first, second, v := testcert.New(t, "first"), testcert.New(t, "second"), newVault(t)
	v.put(first.Issue(t, serverName), first.PEM)
	address, log := serveTLS(t, v, true)
	keda := trusting(t, first, first.Issue(t, "keda-operator"))
	old := presented(t, address, keda)

	// An open connection outlives the certificate that it began with.
	open, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(keda)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = open.Close() })
	asks := func() error {
		_, err := pb.NewExternalScalerClient(open).GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ask(orders)})
		return err
	}
	if err := asks(); err != nil {
		t.Fatal(err)
	}

	v.put(first.Issue(t, serverName), first.PEM)
	log.says(t, "certificates replaced", 1)
	if now := presented(t, address, keda); now == old {
		t.Error("the old certificate is still shown")
	}
	if err := asks(); err != nil {
		t.Errorf("an open connection: %v", err)
	}

	// And with them the authority of the clients.
	v.put(second.Issue(t, serverName), second.PEM)
	log.says(t, "certificates replaced", 2)
	if err := calls(t, address, trusting(t, second, second.Issue(t, "keda-operator"))); err != nil {
		t.Errorf("a client of the new authority: %v", err)
	}
	if err := calls(t, address, trusting(t, second, first.Issue(t, "keda-operator"))); err == nil {
		t.Error("a client of the old authority is answered")
	}
}

func TestBadCertificatesChangeNothing(t *testing.T) {
	authority := testcert.New(t, "authority")
	good, other := authority.Issue(t, serverName), authority.Issue(t, serverName)
	for name, bad := range map[string]struct {
		pair     testcert.Pair
		clientCA []byte
		says     string
	}{
		"another's key":          {testcert.Pair{Certificate: other.Certificate, Key: good.Key}, authority.PEM, "private key does not match"},
		"no certificate":         {testcert.Pair{Certificate: []byte("soon"), Key: good.Key}, authority.PEM, "expected a certificate and its private key"},
		"no key":                 {testcert.Pair{Certificate: other.Certificate}, authority.PEM, "tls.key: no such file"},
		"no clients' authority":  {other, nil, "ca.crt: no such file"},
		"an empty authority":     {other, []byte{}, "expected certificates as PEM, found none"},
		"a key for an authority": {other, other.Key, "found a PRIVATE KEY"},
		"half an authority":      {other, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "certificate 1: "},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t)
			v.put(bad.pair, bad.clientCA)
			if _, err := LoadCertificates(v.options(true)); err == nil || !strings.Contains(err.Error(), bad.says) {
				t.Errorf("at the start: got %v, want it to say %q", err, bad.says)
			}

			v = newVault(t)
			v.put(good, authority.PEM)
			address, log := serveTLS(t, v, true)
			keda := trusting(t, authority, authority.Issue(t, "keda-operator"))
			before := presented(t, address, keda)
			v.put(bad.pair, bad.clientCA)
			log.says(t, "the last good ones stay", 1)
			if text := log.String(); !strings.Contains(text, bad.says) || strings.Contains(text, "PRIVATE KEY-----") {
				t.Errorf("the log does not say %q, or shows a key:\n%s", bad.says, text)
			}
			if now := presented(t, address, keda); now != before {
				t.Error("another certificate is shown")
			}
			if err := calls(t, address, keda); err != nil {
				t.Error(err)
			}
			if err := calls(t, address, trusting(t, authority)); err == nil {
				t.Error("a client without a certificate is answered")
			}
			v.put(other, authority.PEM)
			log.says(t, "certificates replaced", 1)
			if now := presented(t, address, keda); now == before {
				t.Error("the old certificate is still shown")
			}
		})
	}
}
