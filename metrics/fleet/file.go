package fleet

import (
	"context"
	"fmt"
	"io"
	"os"
)

// MaxBytes is the largest document that is read: room for some 200,000 pods.
const MaxBytes = 64 << 20

// file is a Source: the path of a document.
type file string

func (path file) Read(ctx context.Context) (State, error) {
	data, err := path.load(ctx)
	if err != nil {
		return State{}, fmt.Errorf("fleet document: %w", err) // err names the path
	}
	fleets, err := Parse(data)
	if err != nil {
		return State{}, fmt.Errorf("fleet document %s: %w", path, err)
	}
	return State{Fleets: fleets}, nil
}

func (path file) load(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	about, err := os.Stat(string(path))
	if err != nil {
		return nil, err
	}
	if !about.Mode().IsRegular() { // opening a pipe would wait for its writer
		return nil, fmt.Errorf("expected %s to be a regular file, found one of type %s", path, about.Mode().Type())
	}
	if about.Size() > MaxBytes {
		return nil, tooLarge(string(path), MaxBytes)
	}
	opened, err := os.Open(string(path))
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	return readBounded(opened, string(path), MaxBytes)
}

// readBounded reads all of from, up to limit bytes.
func readBounded(from io.Reader, name string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, tooLarge(name, limit)
	}
	return data, nil
}

func tooLarge(name string, limit int64) error {
	return fmt.Errorf("expected at most %d bytes in %s, found more", limit, name)
}
