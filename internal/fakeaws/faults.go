package fakeaws

import (
	"context"
	"net/http"
	"slices"
	"sync"
)

// Fault is a way to fail. Exactly one of Status, Hang and Drop is set.
type Fault struct {
	// Operations are the operations it befalls, by name ("ReceiveMessage");
	// none means all.
	Operations []string

	// Status answers with this HTTP status and an AWS error of this code and
	// message.
	Status  int
	Code    string
	Message string

	// Hang gives no answer until the client gives up or the fault is lifted.
	Hang bool
	// Drop cuts the connection without an answer.
	Drop bool

	// Times is the number of requests it befalls; 0 means all until lifted.
	Times int
}

// AccessDenied is what IAM answers where the permission is missing.
func AccessDenied(operations ...string) Fault {
	return Fault{Operations: operations, Status: http.StatusForbidden, Code: "AccessDenied",
		Message: "User: arn:aws:iam::000000000000:user/local is not authorized to perform this action"}
}

// Throttled is what AWS answers above a rate limit; the SDK tries again.
func Throttled(operations ...string) Fault {
	return Fault{Operations: operations, Status: http.StatusBadRequest, Code: "ThrottlingException", Message: "Rate exceeded"}
}

// Unavailable is what AWS answers when the service is in trouble; the SDK tries again.
func Unavailable(operations ...string) Fault {
	return Fault{Operations: operations, Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: "Service Unavailable"}
}

// injected is a fault in force.
type injected struct {
	Fault
	left   int
	lifted chan struct{}
}

type faults struct {
	mu    sync.Mutex
	force []*injected
}

// Inject puts a fault in force until it has befallen Times requests or lift
// is called, which may be done more than once. Of several that fit, the
// earliest injected befalls the request.
func (s *Server) Inject(f Fault) (lift func()) {
	i := &injected{Fault: f, left: f.Times, lifted: make(chan struct{})}
	s.faults.mu.Lock()
	s.faults.force = append(s.faults.force, i)
	s.faults.mu.Unlock()
	return sync.OnceFunc(func() {
		s.faults.mu.Lock()
		s.faults.force = slices.DeleteFunc(s.faults.force, func(other *injected) bool { return other == i })
		s.faults.mu.Unlock()
		close(i.lifted)
	})
}

// meet lets a request meet the faults in force: it returns the error to
// answer with, or nil to go on, or does not return.
func (f *faults) meet(ctx context.Context, operation string) error {
	fault := f.next(operation)
	switch {
	case fault == nil:
		return nil
	case fault.Drop:
		panic(http.ErrAbortHandler) // net/http's way to cut a connection
	case fault.Hang:
		select {
		case <-fault.lifted:
			return nil
		case <-ctx.Done():
			panic(http.ErrAbortHandler)
		}
	}
	return &apiError{fault.Status, fault.Code, fault.Code, fault.Message}
}

func (f *faults) next(operation string) *injected {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := slices.IndexFunc(f.force, func(i *injected) bool {
		return len(i.Operations) == 0 || slices.Contains(i.Operations, operation)
	})
	if at < 0 {
		return nil
	}
	fault := f.force[at]
	if fault.Times > 0 {
		if fault.left--; fault.left == 0 {
			f.force = slices.Delete(f.force, at, at+1)
		}
	}
	return fault
}
