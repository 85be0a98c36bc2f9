package sqs

import (
	"context"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/keda-headroom/headroom/metrics/awscall"
)

// Options of a [Client]. The zero value is right for use inside AWS.
type Options struct {
	// Config is used instead of the AWS SDK's default configuration (its
	// environment variables, shared files and credential chain).
	Config *aws.Config
	// Observe is told of every request sent: the service ("sqs"), the operation
	// ("GetQueueAttributes") and the result, one of the [awscall.Result] values. It is
	// called from several goroutines at a time. nil tells nobody.
	Observe func(service, operation, result string)
}

// Client opens queues. Queues of one region and endpoint share connections.
// All methods may be called at any time from anywhere.
type Client struct {
	config  aws.Config
	secrets *awscall.Secrets
	observe func(service, operation, result string)

	mu    sync.Mutex
	sites map[Site]*awssqs.Client
}

// New returns a Client with the AWS SDK's configuration as it is now. It asks
// nobody for anything yet, so missing credentials are found by the first reading.
// It fails where the configuration can't be read, as when AWS_PROFILE names a
// profile that doesn't exist.
func New(ctx context.Context, options Options) (*Client, error) {
	loaded, secrets, err := awscall.Configuration(ctx, options.Config)
	if err != nil {
		return nil, err
	}
	return &Client{config: loaded, secrets: secrets, observe: options.Observe, sites: make(map[Site]*awssqs.Client)}, nil
}

// Queue returns the queue at location. It checks location and does no I/O: errors
// are what only an edit can mend.
func (c *Client) Queue(location Location) (*Queue, error) {
	where, queue, err := location.Resolve()
	if err != nil {
		return nil, err
	}
	client, err := c.site(where)
	if err != nil {
		return nil, fmt.Errorf("queue %s: %w", location, err)
	}
	q := &Queue{location: location, name: queue.Name, client: client, secrets: c.secrets}
	if location.URL != "" {
		q.url.Store(&location.URL)
	}
	return q, nil
}

// site returns the SDK client for where.
func (c *Client) site(where Site) (*awssqs.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client := c.sites[where]; client != nil {
		return client, nil
	}
	client := awssqs.NewFromConfig(c.config, func(o *awssqs.Options) {
		if where.Region != "" {
			o.Region = where.Region
		}
		if where.Endpoint != "" {
			o.BaseEndpoint = aws.String(where.Endpoint)
		}
		if o.BaseEndpoint != nil {
			// Whoever names an endpoint has chosen; the SDK refuses to combine
			// that with a wish for FIPS or dual-stack from its configuration.
			o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateDisabled
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateDisabled
			if o.Region == "" {
				o.Region = awscall.ImitationRegion
			}
		}
		o.Retryer = awscall.Retryer()
		o.RetryMaxAttempts = 0 // the SDK's configuration doesn't change the above
		if c.observe != nil {
			o.APIOptions = append(o.APIOptions, awscall.Count(c.observe))
		}
	})
	if client.Options().Region == "" {
		return nil, fmt.Errorf("no region: expected one in the queue's location or its URL, or in AWS_REGION, found none")
	}
	c.sites[where] = client
	return client, nil
}
