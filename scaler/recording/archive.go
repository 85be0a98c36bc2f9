package recording

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"time"
)

// Archive writes the segments that have records of a stretch of time as a tar archive:
// files that make a recording, when they are put into a directory. Zero times are the
// beginning and the end. What is written meanwhile may be cut off at the end. It returns
// how many files there are.
func (r *Reader) Archive(out io.Writer, from, to time.Time) (files int, err error) {
	segments, err := r.source.list()
	if err != nil {
		return 0, err
	}
	archive := tar.NewWriter(out)
	for s := range during(segments, from, to) {
		err := r.add(archive, s)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was the oldest, and made room
		}
		if err != nil {
			return files, err
		}
		files++
	}
	return files, archive.Close()
}

func (r *Reader) add(archive *tar.Writer, s segment) error {
	in, s, err := r.source.raw(s)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := archive.WriteHeader(&tar.Header{Name: s.name(), Mode: 0o600, Size: s.size, ModTime: s.start}); err != nil {
		return err
	}
	_, err = io.Copy(archive, io.LimitReader(in, s.size))
	return err
}
