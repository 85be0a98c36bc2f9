package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// DSN is where the connection string comes from. It is read anew for every
// connection, so that a rotated password is picked up.
type DSN struct {
	// Origin names the place in errors: "file /etc/headroom/orders". It must not
	// hold a secret.
	Origin string
	// Read returns postgres://USER:PASSWORD@HOST:PORT/DATABASE or
	// "host=… user=… password=… dbname=…". Its error must not hold a secret.
	Read func(context.Context) (string, error)
}

// maxDSN is far more than any connection string needs; a path that leads to
// something else by mistake is not read into memory.
const maxDSN = 64 << 10

// FromFile reads the DSN from a file. White space around it is dropped.
func FromFile(path string) DSN {
	return DSN{
		Origin: "file " + path,
		Read: func(context.Context) (string, error) {
			file, err := os.Open(path)
			if err != nil {
				return "", err
			}
			defer func() { _ = file.Close() }() // nothing was written
			text, err := io.ReadAll(io.LimitReader(file, maxDSN+1))
			if err != nil {
				return "", err
			}
			if len(text) > maxDSN {
				return "", fmt.Errorf("expected a connection string, found more than %d bytes", maxDSN)
			}
			return strings.TrimSpace(string(text)), nil
		},
	}
}

// FromEnvironment reads the DSN from an environment variable. White space around
// it is dropped.
func FromEnvironment(name string) DSN {
	return DSN{
		Origin: "environment variable " + name,
		Read: func(context.Context) (string, error) {
			text, ok := os.LookupEnv(name)
			if !ok {
				return "", errors.New("it is not set")
			}
			return strings.TrimSpace(text), nil
		},
	}
}
