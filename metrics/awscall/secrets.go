package awscall

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Secrets is the SDK's credential chain. It marks the chain's failures, so that
// they are told from the services', and remembers what must never be in a text.
// The zero value has no credentials.
type Secrets struct {
	chain aws.CredentialsProvider // nil where the configuration has none
	last  atomic.Pointer[aws.Credentials]
}

// NewSecrets returns the chain, which is nil where a configuration has none.
func NewSecrets(chain aws.CredentialsProvider) *Secrets { return &Secrets{chain: chain} }

// credentialsError is a failure of the credential chain.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return "credentials: " + e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// Retrieve asks the chain, which caches.
func (s *Secrets) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if s.chain == nil {
		return aws.Credentials{}, &credentialsError{errNoChain}
	}
	credentials, err := s.chain.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &credentialsError{err}
	}
	s.last.Store(&credentials)
	return credentials, nil
}

// scrub returns text without the credentials in use. Nothing puts them there;
// but servers have been known to answer with the headers they were sent.
func (s *Secrets) scrub(text string) string {
	credentials := s.last.Load()
	if credentials == nil {
		return text
	}
	for _, secret := range []string{credentials.SecretAccessKey, credentials.SessionToken} {
		if len(secret) >= 8 { // what is shorter keeps no secret, and would blot out words
			text = strings.ReplaceAll(text, secret, "[redacted]")
		}
	}
	return text
}
