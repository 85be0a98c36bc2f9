package worker

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/keda-headroom/headroom/internal/worker"
)

// The environment of a worker. Names with a unit take a number, fractions
// included.
const (
	// QueueURL, Region and DatabaseURL, and the credentials, have to be there.
	QueueURL        = "QUEUE_URL"
	Endpoint        = "AWS_ENDPOINT_URL"
	Region          = "AWS_REGION"
	AccessKeyID     = "AWS_ACCESS_KEY_ID"
	SecretAccessKey = "AWS_SECRET_ACCESS_KEY" //nolint:gosec // a name
	DatabaseURL     = "DATABASE_URL"
	// Table gets a row for each message that was handled; without it, none does.
	Table = "TABLE"
	// PoolSize is the number of connections, 5 without it.
	PoolSize = "DB_POOL_SIZE"
	// OpenEagerly is true without it, as in most frameworks.
	OpenEagerly = "OPEN_EAGERLY"
	// ExtraConnections are held beside the pool, by nobody's declaration.
	ExtraConnections = "EXTRA_CONNECTIONS"
	// WorkSeconds is how long a message holds its connection, 1 without it.
	WorkSeconds = "WORK_SECONDS"
	// TerminationSeconds is how long connections stay open after SIGTERM, at least.
	TerminationSeconds = "TERMINATION_SECONDS"
	// JobMessages ends the worker after so many messages, or when there is none.
	JobMessages = "JOB_MESSAGES"
	// PollSeconds is how long a receive waits for a message, 20 without it.
	PollSeconds = "POLL_SECONDS"
	// PodIP is the address to connect from, PodName the sessions' application_name.
	PodIP   = "POD_IP"
	PodName = "POD_NAME"
)

// FromEnvironment reads a worker's configuration. The error names everything
// that is missing or can't be read, and quotes no secret.
func FromEnvironment(getenv func(string) string) (worker.Config, error) {
	r := reader{getenv: getenv}
	c := worker.Config{
		DSN: r.needed(DatabaseURL), QueueURL: r.needed(QueueURL), Region: r.needed(Region),
		AccessKeyID: r.needed(AccessKeyID), SecretAccessKey: r.needed(SecretAccessKey),
		Endpoint: getenv(Endpoint), Address: getenv(PodIP), Application: getenv(PodName), Table: getenv(Table),
		Connections: r.number(PoolSize, 5), Extra: r.number(ExtraConnections, 0), Messages: r.number(JobMessages, 0),
		OpenEagerly: r.yes(OpenEagerly, true),
		Work:        r.seconds(WorkSeconds, time.Second), Drain: r.seconds(TerminationSeconds, 0), Poll: r.seconds(PollSeconds, 20*time.Second),
	}
	return c, errors.Join(r.errs...)
}

// reader collects what is wrong.
type reader struct {
	getenv func(string) string
	errs   []error
}

func (r *reader) needed(name string) string {
	value := r.getenv(name)
	if value == "" {
		r.errs = append(r.errs, fmt.Errorf("environment: %s is not set", name))
	}
	return value
}

func (r *reader) number(name string, usual int) int {
	return read(r, name, usual, "a whole number from 0 on", func(text string) (int, bool) {
		n, err := strconv.Atoi(text)
		return n, err == nil && n >= 0
	})
}

func (r *reader) yes(name string, usual bool) bool {
	return read(r, name, usual, "true or false", func(text string) (bool, bool) {
		yes, err := strconv.ParseBool(text)
		return yes, err == nil
	})
}

func (r *reader) seconds(name string, usual time.Duration) time.Duration {
	return read(r, name, usual, "seconds from 0 on", func(text string) (time.Duration, bool) {
		seconds, err := strconv.ParseFloat(text, 64)
		return time.Duration(seconds * float64(time.Second)), err == nil && seconds >= 0 && seconds < 1e6
	})
}

// read returns the value of a variable, or what is usual where it is not set.
func read[T any](r *reader, name string, usual T, expected string, parse func(string) (T, bool)) T {
	text := r.getenv(name)
	if text == "" {
		return usual
	}
	value, ok := parse(text)
	if !ok {
		r.errs = append(r.errs, fmt.Errorf("environment: %s: expected %s, found %q", name, expected, text))
	}
	return value
}
