package recording

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
)

// archive writes segments as a tar archive: files that make a recording, when they are
// put into a directory. What is written meanwhile may be cut off at the end.
func (r *Reader) archive(out io.Writer, segments []segment) error {
	archive := tar.NewWriter(out)
	for _, s := range segments {
		err := r.add(archive, s)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was the oldest, and made room
		}
		if err != nil {
			return err
		}
	}
	return archive.Close()
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
