package scaler

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// DefaultCertificateInterval is how often the files of certificates are read.
const DefaultCertificateInterval = 5 * time.Second

// CertificateOptions name the files of a server's TLS. Certificate and Key are
// required.
type CertificateOptions struct {
	// Certificate holds the server's certificate and those between it and its
	// authority, Key its private key, both as PEM.
	Certificate, Key string
	// ClientCA holds the authorities of clients as PEM: who has no certificate of
	// theirs is refused (mutual TLS). "" lets everybody in.
	ClientCA string
	// Interval is how often the files are read, 0 for the default.
	Interval time.Duration
	// Log gets a line for every change; nil logs nothing.
	Log *slog.Logger
}

// Certificates keep a server's TLS up to date with its files, which whoever
// issues certificates replaces in time. What can't be used changes nothing: the
// last good files stay in use. Make one with [LoadCertificates], then Run it. nil
// is plain text.
type Certificates struct {
	options CertificateOptions
	seen    certificateFiles // what was read last
	judged  certificateFiles // what was judged last
	inUse   atomic.Pointer[tls.Config]
}

// certificateFiles are the files' contents, or why one of them can't be read.
type certificateFiles struct {
	certificate, key, clientCA []byte
	problem                    string
}

// LoadCertificates reads the files; what is there first must be good.
func LoadCertificates(options CertificateOptions) (*Certificates, error) {
	if options.Interval <= 0 {
		options.Interval = DefaultCertificateInterval
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	c := &Certificates{options: options}
	c.seen = c.read()
	c.judged = c.seen
	config, _, err := c.parse(c.seen)
	if err != nil {
		return nil, err
	}
	c.inUse.Store(config)
	return c, nil
}

// Run reads the files again and again until ctx ends, and uses what changed. A
// change counts once it is read twice: files are not replaced all at one instant.
func (c *Certificates) Run(ctx context.Context) {
	if c == nil {
		return
	}
	due := time.NewTicker(c.options.Interval)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-due.C:
		}
		before := c.seen
		c.seen = c.read()
		if c.seen.same(before) && !c.seen.same(c.judged) {
			c.judge()
		}
	}
}

// judge uses the files that were read last, or says why they can't be used.
func (c *Certificates) judge() {
	c.judged = c.seen
	config, leaf, err := c.parse(c.seen)
	if err != nil {
		c.options.Log.Warn("certificates can't be used, the last good ones stay", "problem", err.Error())
		return
	}
	c.inUse.Store(config)
	c.options.Log.Info("certificates replaced",
		"subject", leaf.Subject.String(), "serial", leaf.SerialNumber.Text(16), "expires", leaf.NotAfter)
}

// Config returns what a server needs; each new connection gets the certificates
// that are in use then.
func (c *Certificates) Config() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.inUse.Load(), nil },
	}
}

func (c *Certificates) read() certificateFiles {
	var problems []error
	content := func(path string) []byte {
		if path == "" {
			return nil
		}
		b, err := os.ReadFile(path)
		problems = append(problems, err)
		return b
	}
	f := certificateFiles{
		certificate: content(c.options.Certificate), key: content(c.options.Key), clientCA: content(c.options.ClientCA),
	}
	if err := errors.Join(problems...); err != nil {
		f.problem = err.Error()
	}
	return f
}

// parse returns what to use from now on, and the server's own certificate.
func (c *Certificates) parse(f certificateFiles) (*tls.Config, *x509.Certificate, error) {
	if f.problem != "" {
		return nil, nil, errors.New(f.problem)
	}
	pair, err := tls.X509KeyPair(f.certificate, f.key)
	if err != nil { // it tells of no key's content
		return nil, nil, fmt.Errorf("%s and %s: expected a certificate and its private key as PEM: %w", c.options.Certificate, c.options.Key, err)
	}
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{pair},
		NextProtos:   []string{"h2"},
		// A session that is resumed is not asked for its certificate again.
		SessionTicketsDisabled: true,
	}
	if c.options.ClientCA != "" {
		config.ClientCAs, err = authorities(f.clientCA)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", c.options.ClientCA, err)
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config, pair.Leaf, nil
}

// authorities returns the pool of the certificates in text. One that can't be
// read is an error, not left out.
func authorities(text []byte) (*x509.CertPool, error) {
	pool, found := x509.NewCertPool(), 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("expected certificates as PEM, found a %s", block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", found+1, err)
		}
		pool.AddCert(certificate)
		found++
	}
	if found == 0 {
		return nil, errors.New("expected certificates as PEM, found none")
	}
	return pool, nil
}

func (f certificateFiles) same(as certificateFiles) bool {
	return f.problem == as.problem && bytes.Equal(f.certificate, as.certificate) &&
		bytes.Equal(f.key, as.key) && bytes.Equal(f.clientCA, as.clientCA)
}
