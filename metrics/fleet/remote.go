package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// remote is a Source: a document on an HTTP server. It keeps its connection.
type remote struct {
	url    string
	name   string // the URL without its query, which may be secret
	limit  int64  // bytes of a document
	client *http.Client
}

func newRemote(location *url.URL) *remote {
	public := *location
	public.RawQuery, public.ForceQuery, public.Fragment, public.RawFragment = "", false, "", ""
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return &remote{url: location.String(), name: public.String(), limit: MaxBytes, client: &http.Client{Transport: transport}}
}

func (r *remote) Read(ctx context.Context) (State, error) {
	data, err := r.load(ctx)
	if err != nil {
		return State{}, fmt.Errorf("fleet document: %w", err)
	}
	fleets, err := Parse(data)
	if err != nil {
		return State{}, fmt.Errorf("fleet document %s: %w", r.name, err)
	}
	return State{Fleets: fleets}, nil
}

func (r *remote) load(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", r.name, withoutURL(err))
	}
	request.Header.Set("Accept", "application/json")
	answer, err := r.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", r.name, withoutURL(err))
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking %s: expected HTTP status 200, found %s", r.name, answer.Status)
	}
	return readBounded(answer.Body, r.name, r.limit)
}

// withoutURL takes the URL, which may have a secret in its query, off err.
func withoutURL(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// Close ends the connections that are kept.
func (r *remote) Close() error {
	r.client.CloseIdleConnections()
	return nil
}
