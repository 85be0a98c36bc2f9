package cloudwatch

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscloudwatch "github.com/aws/aws-sdk-go-v2/service/cloudwatch"

	"github.com/keda-headroom/headroom/metrics/awscall"
	"github.com/keda-headroom/headroom/metrics/sqs"
)

// Options of a [Client]. The zero value is right for use inside AWS.
type Options struct {
	// Config is used instead of the AWS SDK's default configuration (its
	// environment variables, shared files and credential chain).
	Config *aws.Config
	// Observe is told of every request sent: the service ("cloudwatch"), the
	// operation ("GetMetricData") and the result, one of the [awscall.Result]
	// values. It is called from several goroutines at a time. nil tells nobody.
	Observe func(service, operation, result string)
}

// Place is where metrics are kept: what is asked about together. Places that are
// equal (==) are one, so a Place is a key for a poller.
type Place struct {
	// Region is never "".
	Region string
	// Endpoint is asked instead of AWS's, "" where it is AWS's or the one that the
	// AWS SDK's configuration names (AWS_ENDPOINT_URL_CLOUDWATCH, …).
	Endpoint string
}

// String names the place, for logs and metrics.
func (p Place) String() string {
	if p.Endpoint != "" {
		return p.Region + " at " + p.Endpoint
	}
	return p.Region
}

// Client opens places. All methods may be called at any time from anywhere.
type Client struct {
	config  aws.Config
	secrets *awscall.Secrets
	observe func(service, operation, result string)

	mu     sync.Mutex
	places map[Place]*awscloudwatch.Client
}

// New returns a Client with the AWS SDK's configuration as it is now. It asks
// nobody for anything yet, and fails where the configuration can't be read.
func New(ctx context.Context, options Options) (*Client, error) {
	loaded, secrets, err := awscall.Configuration(ctx, options.Config)
	if err != nil {
		return nil, err
	}
	return &Client{config: loaded, secrets: secrets, observe: options.Observe, places: map[Place]*awscloudwatch.Client{}}, nil
}

// Find returns where the metrics of a queue are kept, and under which name. A
// queue at an endpoint of AWS's own (a VPC endpoint, FIPS, dual-stack) has them at
// the standard endpoint of its region, one at another server at that server. It
// does no I/O; errors are what only an edit can mend.
func (c *Client) Find(queue sqs.Location) (Place, string, error) {
	site, named, err := queue.Resolve()
	if err != nil {
		return Place{}, "", err
	}
	place := Place{Region: cmp.Or(site.Region, c.config.Region)}
	if !site.OfAWS() {
		place.Endpoint = site.Endpoint
	}
	if place.Region == "" && (place.Endpoint != "" || c.config.BaseEndpoint != nil) {
		place.Region = awscall.ImitationRegion
	}
	if place.Region == "" {
		return Place{}, "", fmt.Errorf("queue %s: no region: expected one in the queue's location or its URL, or in AWS_REGION, found none", queue)
	}
	return place, named.Name, nil
}

// Open returns the source of what is known of the queues in place. names is called
// at the beginning of each read for the names of the queues to ask about, in any
// order; it must not wait.
func (c *Client) Open(place Place, names func() []string) *Source {
	return &Source{
		place: place, client: c.place(place), secrets: c.secrets, names: names,
		phase: earliest + rand.N(latest-earliest), histories: map[string]history{},
	}
}

// place returns the SDK client for where.
func (c *Client) place(where Place) *awscloudwatch.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client := c.places[where]; client != nil {
		return client
	}
	client := awscloudwatch.NewFromConfig(c.config, func(o *awscloudwatch.Options) {
		o.Region = where.Region
		// An endpoint that the configuration names for CloudWatch alone stays.
		common := aws.ToString(o.BaseEndpoint) == aws.ToString(c.config.BaseEndpoint)
		if where.Endpoint != "" && common {
			o.BaseEndpoint = aws.String(where.Endpoint)
		}
		if o.BaseEndpoint != nil {
			// Whoever names an endpoint has chosen; the SDK refuses to combine
			// that with a wish for FIPS or dual-stack from its configuration.
			o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateDisabled
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateDisabled
		}
		o.Retryer = awscall.Retryer()
		o.RetryMaxAttempts = 0 // the SDK's configuration doesn't change the above
		if c.observe != nil {
			o.APIOptions = append(o.APIOptions, awscall.Count(c.observe))
		}
	})
	c.places[where] = client
	return client
}

// earliest and latest bound when, in each minute, a place is read: late enough
// for the points of the minute that ended to be there, should they come at once,
// and spread, so that many installations don't ask at one moment.
const (
	earliest = 5 * time.Second
	latest   = 15 * time.Second
)
