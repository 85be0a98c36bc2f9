package recording

import (
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// source is where segments are read from.
type source interface {
	// list returns all segments in order.
	list() ([]segment, error)
	// open returns what a segment holds, uncompressed. It returns an error that
	// is fs.ErrNotExist where the segment is gone by now.
	open(s segment) (io.ReadCloser, error)
	// raw returns what a segment occupies, compressed where it is sealed, and as which it
	// was found: it may have been sealed since it was listed. The same error as open's.
	raw(s segment) (io.ReadCloser, segment, error)
}

// store keeps segments. It is written to by one goroutine.
type store interface {
	source
	// create starts a segment and makes it the one that append adds to.
	create(s segment) error
	// append adds to the created segment: all of frame, or nothing.
	append(frame []byte) error
	// seal compresses the created segment.
	seal() error
	// remove deletes a segment.
	remove(s segment) error
	close() error
}

// encoders are kept for the next segment for as long as memory is not wanted: each has
// tens of megabytes to clear when it is made.
var encoders sync.Pool

// compress copies a segment into its sealed form.
func compress(out io.Writer, in io.Reader) error {
	w, kept := encoders.Get().(*zstd.Encoder)
	if !kept {
		var err error
		if w, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1)); err != nil {
			return err
		}
	}
	defer func() {
		w.Reset(nil) // lets go of out
		encoders.Put(w)
	}()
	w.Reset(out)
	if _, err := io.Copy(w, in); err != nil {
		_ = w.Close() // the copy's error is the one that says why
		return err
	}
	return w.Close()
}

// decompressor reads a sealed segment and closes what it reads from.
type decompressor struct {
	*zstd.Decoder
	under io.Closer
}

// decompress returns what a sealed segment holds. It is read in step with what
// is asked for, so that all that stands before damage comes out.
func decompress(in io.ReadCloser) (io.ReadCloser, error) {
	d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
	if err != nil {
		_ = in.Close() // nothing was written
		return nil, fmt.Errorf("decompress: %w", err)
	}
	return decompressor{d, in}, nil
}

func (d decompressor) Close() error {
	d.Decoder.Close()
	return d.under.Close()
}
