package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
)

const (
	// probeTimeout is how long the API server may take to answer that it is
	// there. A connection that is half open looks like a server that thinks.
	probeTimeout = 3 * time.Second
	// probeAge is how old the last good answer may be.
	probeAge = 500 * time.Millisecond
)

// probe asks the API server whether it is there: GET /readyz, which every
// installation lets everybody ask. One request at a time, and none while nobody
// wants to know.
type probe struct {
	client rest.Interface
	alive  context.Context // ends with the Cluster
	// away is called with the time when the server didn't answer, or not well.
	away func(failed time.Time)

	mu      sync.Mutex
	asking  chan struct{} // closed when the running request has ended; nil without
	good    time.Time     // when the last request that was answered began
	since   time.Time     // when the first of the failures since good began
	problem error         // of the last request
}

// answers returns nil where the API server answered a request that began since,
// and waits for that until ctx ends.
func (p *probe) answers(ctx context.Context, since time.Time) error {
	for {
		p.mu.Lock()
		if p.good.After(since) {
			p.mu.Unlock()
			return nil
		}
		if err := p.alive.Err(); err != nil {
			p.mu.Unlock()
			return errors.New("the watch of Kubernetes has ended")
		}
		first := p.asking == nil
		if first {
			p.asking = make(chan struct{})
			go p.ask(p.asking)
		}
		asking := p.asking
		p.mu.Unlock()

		select {
		case <-ctx.Done():
			return p.unanswered()
		case <-asking:
		}
		if first {
			p.mu.Lock()
			err := p.problem
			p.mu.Unlock()
			if err != nil {
				return err
			}
		}
	}
}

// unanswered says that a request is still open.
func (p *probe) unanswered() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.problem != nil {
		return p.problem
	}
	return errors.New("the Kubernetes API server hasn't answered GET /readyz yet")
}

// ask makes one request.
func (p *probe) ask(done chan<- struct{}) {
	defer close(done)
	ctx, cancel := context.WithTimeout(p.alive, probeTimeout)
	defer cancel()
	began := time.Now()
	err := p.request(ctx)
	if err != nil && p.alive.Err() == nil {
		p.away(time.Now())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asking = nil
	p.problem = nil
	if err == nil {
		p.good, p.since = began, time.Time{}
		return
	}
	if p.since.IsZero() {
		p.since = began
	}
	p.problem = fmt.Errorf("the Kubernetes API server can't be reached since %s: %w", p.since.UTC().Format(time.TimeOnly), err)
}

// request asks /readyz. Whoever answers is there, even if it doesn't let us ask.
func (p *probe) request(ctx context.Context) error {
	var status int
	body, err := p.client.Get().AbsPath("/readyz").MaxRetries(0).Do(ctx).StatusCode(&status).Raw()
	switch {
	case err == nil, status >= 400 && status < 500:
		return nil
	case status == http.StatusOK || status == 0:
		if ctx.Err() != nil {
			return fmt.Errorf("no answer to GET /readyz within %s", probeTimeout)
		}
		return withoutURL(err)
	case apierrors.IsInternalError(err) || status >= 500:
		words := strings.Join(strings.Fields(string(body)), " ")
		if len(words) > 200 {
			words = words[:200]
		}
		return fmt.Errorf("it answers GET /readyz with HTTP status %d: %s", status, words)
	}
	return err
}
