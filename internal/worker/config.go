package worker

import (
	"errors"
	"time"
)

// Config is all that a worker is told.
type Config struct {
	// DSN of the database. It is never quoted in an error.
	DSN string `json:"dsn"`
	// Address to connect from, "" for any.
	Address string `json:"address,omitempty"`
	// Application is the application_name of its sessions.
	Application string `json:"application,omitempty"`
	// Table of handled messages, schema included, which gets a row (message) for
	// each; "" for none.
	Table string `json:"table,omitempty"`
	// Connections is the size of its pool, and how many messages it handles at
	// a time.
	Connections int `json:"connections"`
	// OpenEagerly opens the whole pool at the start, and begins to receive once
	// one connection is open. Else connections are opened as they are needed.
	OpenEagerly bool `json:"openEagerly,omitempty"`
	// Extra connections are held beside the pool, for no message.
	Extra int `json:"extra,omitempty"`

	// Work is how long a message holds its connection.
	Work time.Duration `json:"work"`
	// Drain is how long at least the connections stay open after a stop, as
	// those of a worker with much to tidy up.
	Drain time.Duration `json:"drain,omitempty"`
	// Messages ends the worker after so many, or when the queue has none for as
	// long as one poll takes, as the worker of a Job; 0 for a worker that stays.
	Messages int `json:"messages,omitempty"`

	QueueURL string `json:"queueURL"`
	Endpoint string `json:"endpoint,omitempty"` // of SQS, "" for AWS
	Region   string `json:"region"`
	// AccessKeyID and SecretAccessKey are static credentials.
	AccessKeyID     string `json:"accessKeyID"`
	SecretAccessKey string `json:"secretAccessKey"`
	// Poll is how long a receive waits for a first message, in whole seconds;
	// 0 means 1 s, and SQS takes 20 s at most.
	Poll time.Duration `json:"poll,omitempty"`
}

// check says what is missing, all of it.
func (c Config) check() error {
	var errs []error
	for _, f := range []struct {
		ok   bool
		text string
	}{
		{c.DSN != "", "no DSN"},
		{c.Connections > 0, "a pool of no connections"},
		{c.Extra >= 0 && c.Messages >= 0 && c.Work >= 0 && c.Drain >= 0, "a number below 0"},
		{c.QueueURL != "", "no queue URL"},
		{c.Region != "", "no region"},
		{c.Poll >= 0 && c.Poll <= 20*time.Second, "a poll of more than 20 s"},
	} {
		if !f.ok {
			errs = append(errs, errors.New("worker: it was given "+f.text))
		}
	}
	return errors.Join(errs...)
}

func (c Config) poll() time.Duration {
	if c.Poll < time.Second {
		return time.Second
	}
	return c.Poll
}
