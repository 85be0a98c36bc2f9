package fakeaws

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"syscall"
)

// inProcess is an http.RoundTripper that calls the server in the caller's own
// goroutine.
type inProcess struct{ server *Server }

func (t inProcess) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	defer r.Body.Close()
	t.server.lifecycle.Lock()
	closed := t.server.closed
	t.server.lifecycle.Unlock()
	if closed {
		return nil, fmt.Errorf("fakeaws: closed: %w", syscall.ECONNREFUSED)
	}
	// What net/http does with a connection whose handler aborts.
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			answer, err = nil, errors.Join(r.Context().Err(), syscall.ECONNRESET)
		default:
			panic(p)
		}
	}()
	incoming := r.Clone(r.Context())
	incoming.Host = r.URL.Host
	recorder := httptest.NewRecorder()
	t.server.ServeHTTP(recorder, incoming)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	answer = recorder.Result()
	answer.Request = r
	return answer, nil
}
