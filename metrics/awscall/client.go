package awscall

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
)

const (
	// maxAttempts and maxRetryDelay bound what the SDK does by itself: one more
	// attempt, soon, mends a connection that the server had closed. Whatever
	// lasts longer is better seen as a failed reading, and backed off from by
	// the poller.
	maxAttempts   = 2
	maxRetryDelay = 250 * time.Millisecond

	// ImitationRegion signs requests to an endpoint that isn't AWS's where
	// nobody names a region. Such servers don't care, but the SDK does.
	ImitationRegion = "us-east-1"
)

// Configuration returns a copy of given, or, where that is nil, the AWS SDK's
// default configuration (its environment variables, shared files and credential
// chain) as it is now; and its credentials. It asks nobody for anything yet, so
// missing credentials are found by the first request. It fails where the
// configuration can't be read, as when AWS_PROFILE names a profile that doesn't
// exist.
func Configuration(ctx context.Context, given *aws.Config) (aws.Config, *Secrets, error) {
	var loaded aws.Config
	if given != nil {
		loaded = given.Copy()
	} else {
		var err error
		if loaded, err = config.LoadDefaultConfig(ctx); err != nil {
			return aws.Config{}, nil, fmt.Errorf("loading the AWS configuration: %w", err)
		}
	}
	secrets := NewSecrets(loaded.Credentials)
	loaded.Credentials = secrets
	return loaded, secrets, nil
}

// Retryer returns what tries again: little, and with no quota across queues, for
// an exhausted quota would hide what went wrong.
func Retryer() aws.Retryer {
	return retry.NewStandard(func(r *retry.StandardOptions) {
		r.MaxAttempts = maxAttempts
		r.MaxBackoff = maxRetryDelay
		r.RateLimiter = ratelimit.None
	})
}
