package fleet

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/keda-headroom/headroom/metrics"
)

// Source reads the state of all workloads. A workload that isn't in the map is
// not known to the source; one whose pods are all gone has an empty Fleet.
type Source interface {
	// Read returns the state at one instant, not before Read was called as far
	// as the source can tell. The map is not nil and belongs to the caller.
	Read(ctx context.Context) (map[metrics.ID]metrics.Fleet, error)
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
