package sqs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
)

const (
	// maxAttempts and maxRetryDelay bound what the SDK does by itself: one more
	// attempt, soon, mends a connection that the server had closed. Whatever
	// lasts longer is better seen as a failed reading, and backed off from by
	// the poller.
	maxAttempts   = 2
	maxRetryDelay = 250 * time.Millisecond

	// imitationRegion signs requests to an endpoint that isn't AWS's where
	// nobody names a region. Such servers don't care, but the SDK does.
	imitationRegion = "us-east-1"
)

// Options of a [Client]. The zero value is right for use inside AWS.
type Options struct {
	// Config is used instead of the AWS SDK's default configuration (its
	// environment variables, shared files and credential chain).
	Config *aws.Config
	// Observe is told of every request sent: the service ("sqs"), the operation
	// ("GetQueueAttributes") and the result, one of the [Result] values. It is
	// called from several goroutines at a time. nil tells nobody.
	Observe func(service, operation, result string)
}

// Client opens queues. Queues of one region and endpoint share connections.
// All methods may be called at any time from anywhere.
type Client struct {
	config  aws.Config
	secrets *secrets
	observe func(service, operation, result string)

	mu    sync.Mutex
	sites map[site]*awssqs.Client
}

// New returns a Client with the AWS SDK's configuration as it is now. It asks
// nobody for anything yet, so missing credentials are found by the first reading.
// It fails where the configuration can't be read, as when AWS_PROFILE names a
// profile that doesn't exist.
func New(ctx context.Context, options Options) (*Client, error) {
	var loaded aws.Config
	if options.Config != nil {
		loaded = options.Config.Copy()
	} else {
		var err error
		if loaded, err = config.LoadDefaultConfig(ctx); err != nil {
			return nil, fmt.Errorf("loading the AWS configuration: %w", err)
		}
	}
	client := &Client{config: loaded, observe: options.Observe, sites: make(map[site]*awssqs.Client)}
	client.secrets = &secrets{chain: loaded.Credentials}
	client.config.Credentials = client.secrets
	return client, nil
}

// Queue returns the queue at location. It checks location and does no I/O: errors
// are what only an edit can mend.
func (c *Client) Queue(location Location) (*Queue, error) {
	where, queue, err := location.resolve()
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
func (c *Client) site(where site) (*awssqs.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client := c.sites[where]; client != nil {
		return client, nil
	}
	client := awssqs.NewFromConfig(c.config, func(o *awssqs.Options) {
		if where.region != "" {
			o.Region = where.region
		}
		if where.endpoint != "" {
			o.BaseEndpoint = aws.String(where.endpoint)
		}
		if o.BaseEndpoint != nil {
			// Whoever names an endpoint has chosen; the SDK refuses to combine
			// that with a wish for FIPS or dual-stack from its configuration.
			o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateDisabled
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateDisabled
			if o.Region == "" {
				o.Region = imitationRegion
			}
		}
		o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
			r.MaxAttempts = maxAttempts
			r.MaxBackoff = maxRetryDelay
			// No quota across queues: attempts are few, and an exhausted quota
			// would hide what went wrong.
			r.RateLimiter = ratelimit.None
		})
		o.RetryMaxAttempts = 0 // the SDK's configuration doesn't change the above
		if c.observe != nil {
			o.APIOptions = append(o.APIOptions, countRequests(c.observe))
		}
	})
	if client.Options().Region == "" {
		return nil, fmt.Errorf("no region: expected one in the queue's location or its URL, or in AWS_REGION, found none")
	}
	c.sites[where] = client
	return client, nil
}
