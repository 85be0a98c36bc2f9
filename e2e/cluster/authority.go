package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// validity of every certificate: longer than any test.
const validity = 7 * 24 * time.Hour

// authority issues certificates.
type authority struct {
	dir         string // of its files and of those that it issues
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte // its certificate
	path        string // the same, in a file
}

// pair are the files of a certificate and its key.
type pair struct{ certificate, key string }

// newAuthority makes an authority of that name, which trusts itself.
func newAuthority(dir, name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := newTemplate(name)
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a := &authority{
		dir: dir, certificate: certificate, key: key,
		pem:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		path: filepath.Join(dir, name+"-ca.crt"),
	}
	return a, os.WriteFile(a.path, a.pem, 0o600)
}

// issue writes a certificate, for clients and servers alike, into files named after
// its common name.
func (a *authority) issue(commonName string, organizations []string, hosts ...string) (pair, error) {
	template, err := newTemplate(commonName)
	if err != nil {
		return pair{}, err
	}
	template.Subject.Organization = organizations
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return pair{}, err
	}
	name := filepath.Join(a.dir, filepath.Base(commonName))
	files := pair{certificate: name + ".crt", key: name + ".key"}
	block := &pem.Block{Type: "CERTIFICATE", Bytes: der}
	if err := os.WriteFile(files.certificate, pem.EncodeToMemory(block), 0o600); err != nil {
		return pair{}, err
	}
	return files, writeKey(files.key, key)
}

func newTemplate(commonName string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: commonName},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(validity),
	}, nil
}

// newKey writes a key that nothing is certified of, and its public half.
func newKey(private, public string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	block := &pem.Block{Type: "PUBLIC KEY", Bytes: der}
	if err := os.WriteFile(public, pem.EncodeToMemory(block), 0o600); err != nil {
		return err
	}
	return writeKey(private, key)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}
