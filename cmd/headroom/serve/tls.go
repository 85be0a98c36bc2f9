package serve

import (
	"fmt"
	"log/slog"

	"github.com/keda-headroom/headroom/scaler"
)

// certificates returns those of the gRPC server, nil for plain text.
func (o Options) certificates(log *slog.Logger) (*scaler.Certificates, error) {
	if o.TLSCertFile == "" {
		return nil, nil
	}
	c, err := scaler.LoadCertificates(scaler.CertificateOptions{
		Certificate: o.TLSCertFile, Key: o.TLSKeyFile, ClientCA: o.TLSClientCAFile, Interval: o.TLSInterval, Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return c, nil
}
