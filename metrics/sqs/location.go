package sqs

import (
	"fmt"
	"regexp"
	"strings"
)

// Location says which queue is meant: by URL, or by Name. Locations that are
// equal (==) are one queue, so a Location is a key for a poller.
type Location struct {
	// URL of the queue, see [ParseQueueURL]. Exclusive with Name.
	URL string
	// Name of the queue. Its URL is looked up before the first reading, and
	// again when SQS says that there is no such queue.
	Name string
	// Account is the 12-digit number of the owner of the queue Name, "" where it
	// is the account that the credentials belong to. Only with Name.
	Account string
	// Region of the queue. "" takes it from URL, or else from the AWS SDK's
	// configuration (AWS_REGION, …).
	Region string
	// Endpoint to ask instead of AWS's, as in "http://localhost:4566". "" takes
	// it from a URL that names one, or else from the AWS SDK's configuration
	// (AWS_ENDPOINT_URL_SQS, …), or else from the region.
	Endpoint string
}

// String names the queue, for logs and metrics.
func (l Location) String() string {
	if l.URL != "" {
		return l.URL
	}
	var text strings.Builder
	text.WriteString(l.Name)
	for _, part := range []struct{ word, value string }{
		{" of account ", l.Account}, {" in ", l.Region}, {" at ", l.Endpoint},
	} {
		if part.value != "" {
			text.WriteString(part.word + part.value)
		}
	}
	return text.String()
}

var anyRegionForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Site is one endpoint in one region: what one SDK client talks to. Either may
// be "" for what the SDK's configuration says. Endpoint is "" for the one that the
// SDK would ask in that region anyway.
type Site struct{ Region, Endpoint string }

// OfAWS reports whether the site is asked at one of AWS's own endpoints, so that
// the region's other services are at theirs.
func (s Site) OfAWS() bool {
	if s.Endpoint == "" {
		return true
	}
	parsed, err := parseHTTPURL(s.Endpoint)
	if err != nil {
		return false
	}
	_, _, isAWS := awsHost(strings.ToLower(strings.TrimSuffix(parsed.Hostname(), ".")))
	return isAWS
}

// Resolve checks l and says where the queue is and what it is called. It does no
// I/O; errors are what only an edit can mend.
func (l Location) Resolve() (Site, QueueURL, error) {
	fail := func(field string, err error) (Site, QueueURL, error) {
		return Site{}, QueueURL{}, fmt.Errorf("%s: %w", field, err)
	}
	var queue QueueURL
	var err error
	switch {
	case l.URL != "" && (l.Name != "" || l.Account != ""):
		return fail("queue", fmt.Errorf("expected either a URL, or a name (and account), found the URL %q and the name %q (account %q)", l.URL, l.Name, l.Account))
	case l.URL != "":
		if queue, err = ParseQueueURL(l.URL); err != nil {
			return fail("queue URL", err)
		}
	case l.Name == "":
		return fail("queue", fmt.Errorf("expected a URL or a name, found neither"))
	default:
		if err := checkQueueName(l.Name); err != nil {
			return fail("queue name", err)
		}
		if l.Account != "" && !accountForm.MatchString(l.Account) {
			return fail("queue account", fmt.Errorf("expected 12 digits, found %q", l.Account))
		}
		queue = QueueURL{Name: l.Name, Account: l.Account}
	}

	where := Site{Region: l.Region, Endpoint: l.Endpoint}
	if where.Region == "" {
		where.Region = queue.Region
	} else if !anyRegionForm.MatchString(where.Region) {
		return fail("region", fmt.Errorf("expected a region such as eu-west-1, found %q", where.Region))
	}
	if l.Endpoint == "" {
		where.Endpoint = queue.Endpoint
		if queue.Endpoint == "" && queue.Region != "" && where.Region != queue.Region {
			return fail("region", fmt.Errorf("expected %s as in the queue's URL %q, or none, found %q", queue.Region, l.URL, l.Region))
		}
	} else if _, err := parseHTTPURL(l.Endpoint); err != nil {
		return fail("endpoint", fmt.Errorf("expected a URL such as http://localhost:4566: %w", err))
	}
	return where, queue, nil
}
