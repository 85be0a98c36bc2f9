package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"time"
)

// answers is a check that a component says at url that it is well.
func (c *Cluster) answers(url string) func(context.Context) error {
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(c.authority.pem)
	client := &http.Client{
		Timeout: 10 * time.Second,
		// One connection for each question: the component may be another one by then.
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
		},
	}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(io.LimitReader(response.Body, 2000))
			return fmt.Errorf("GET %s: expected 200 OK, found %s: %s", url, response.Status, body)
		}
		return nil
	}
}
