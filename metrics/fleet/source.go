package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/keda-headroom/headroom/metrics"
)

// State is the state of all workloads at one instant.
type State struct {
	// Fleets holds each workload that the source knows. One whose pods are all
	// gone has an empty Fleet.
	Fleets map[metrics.ID]metrics.Fleet
	// Missing says of workloads that are not in Fleets why they aren't, where the
	// source can tell: "Deployment shop/order-workers not found".
	Missing map[metrics.ID]string
}

// Of returns the state of one workload, or why there is none.
func (s State) Of(id metrics.ID) (metrics.Fleet, error) {
	if fleet, ok := s.Fleets[id]; ok {
		return fleet, nil
	}
	if why := s.Missing[id]; why != "" {
		return metrics.Fleet{}, errors.New(why)
	}
	return metrics.Fleet{}, fmt.Errorf("there are fleets, but none of %s among them", id)
}

// Source reads the state of all workloads.
type Source interface {
	// Read returns the state at one instant, not before Read was called as far
	// as the source can tell. Nobody changes its maps any more. An error is about
	// all workloads: the last state that was read stays the best that is known.
	Read(ctx context.Context) (State, error)
}

// Open returns a Source that reads the document at location, the path of a file
// or an http or https URL, anew each time. It fails where location is neither.
// It does not look at what is there: that may come later, or change.
func Open(location string) (Source, error) {
	scheme, _, isURL := strings.Cut(location, "://")
	switch {
	case location == "":
		return nil, fmt.Errorf("fleet document: expected the path of a file, or an http or https URL, found nothing")
	case !isURL:
		return file(location), nil
	case strings.Contains(location, "@"):
		return nil, fmt.Errorf("fleet document: expected a URL without credentials, found an @ in the %s URL", scheme)
	}
	parsed, err := url.Parse(location)
	if err != nil || parsed.Hostname() == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		public, _, _ := strings.Cut(location, "?") // a query may be secret
		return nil, fmt.Errorf("fleet document: expected the path of a file, or a URL such as http://localhost:8000/fleets, found %q", public)
	}
	return newRemote(parsed), nil
}
