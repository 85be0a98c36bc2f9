package recording

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// directory reads segments from files.
type directory struct{ path string }

func (d directory) list() ([]segment, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, err
	}
	var segments []segment
	for _, e := range entries {
		s, ok := parseName(e.Name())
		if !ok {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed, or sealed, in between
		}
		if err != nil {
			return nil, err
		}
		s.size = info.Size()
		segments = append(segments, s)
	}
	return inOrder(segments), nil
}

func (d directory) open(s segment) (io.ReadCloser, error) {
	f, s, err := d.raw(s)
	if err != nil || !s.sealed {
		return f, err
	}
	return decompress(f)
}

func (d directory) raw(s segment) (io.ReadCloser, segment, error) {
	f, err := os.Open(filepath.Join(d.path, s.name()))
	if errors.Is(err, fs.ErrNotExist) && !s.sealed {
		s.sealed = true
		f, err = os.Open(filepath.Join(d.path, s.name()))
	}
	if err != nil {
		return nil, s, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, s, errors.Join(err, f.Close())
	}
	s.size = info.Size()
	return f, s, nil
}

// files is a directory that one process writes to.
type files struct {
	directory
	lock io.Closer
	out  *os.File
	now  segment
}

// openFiles takes the directory over: nobody else may be writing to it. What a
// crash left is cut to what is whole, and sealed.
func openFiles(path string) (*files, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockDirectory(path)
	if err != nil {
		return nil, err
	}
	f := &files{directory: directory{path}, lock: lock}
	if err := f.recover(); err != nil {
		_ = lock.Close() // the first error is the one that says why
		return nil, err
	}
	return f, nil
}

func (f *files) recover() error {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return err
	}
	sealed := map[uint64]bool{}
	for _, e := range entries {
		if s, ok := parseName(e.Name()); ok && s.sealed {
			sealed[s.number] = true
		}
	}
	for _, e := range entries {
		s, ok := parseName(e.Name())
		whole, partial := strings.CutSuffix(e.Name(), temporary)
		_, ours := parseName(whole)
		switch {
		case partial && ours, ok && !s.sealed && sealed[s.number]:
			err = os.Remove(filepath.Join(f.path, e.Name()))
		case ok && !s.sealed:
			err = f.salvage(s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// salvage seals the whole records of a segment that was being written when the
// process ended.
func (f *files) salvage(s segment) error {
	path := filepath.Join(f.path, s.name())
	in, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	d, err := newDecoder(in)
	records := 0
	if err == nil {
		for {
			if _, err = d.next(); err != nil {
				break
			}
			records++
		}
	}
	if records == 0 {
		return os.Remove(path)
	}
	return f.compressFile(in, d.frames.offset, s)
}

func (f *files) create(s segment) error {
	if f.out != nil {
		_ = f.out.Close() // given up after an error that was reported
		f.out = nil
	}
	out, err := os.OpenFile(filepath.Join(f.path, s.name()), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	f.out, f.now = out, s
	return nil
}

func (f *files) append(frame []byte) error {
	if _, err := f.out.WriteAt(frame, f.now.size); err != nil {
		// Half a frame would end the segment for its readers.
		return errors.Join(err, f.out.Truncate(f.now.size))
	}
	f.now.size += int64(len(frame))
	return nil
}

func (f *files) seal() error {
	in := f.out
	if in == nil {
		return nil
	}
	f.out = nil
	return errors.Join(f.compressFile(in, f.now.size, f.now), in.Close())
}

// compressFile puts a sealed segment in the place of an open one: all of it or,
// after an error or a crash, nothing.
func (f *files) compressFile(in *os.File, size int64, s segment) error {
	before := filepath.Join(f.path, s.name())
	s.sealed = true
	after := filepath.Join(f.path, s.name())
	out, err := os.OpenFile(after+temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(compress(out, io.NewSectionReader(in, 0, size)), out.Sync(), out.Close())
	if err == nil {
		err = os.Rename(after+temporary, after)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("compress %s: %w", before, err), os.Remove(after+temporary))
	}
	return os.Remove(before)
}

func (f *files) remove(s segment) error { return os.Remove(filepath.Join(f.path, s.name())) }

func (f *files) close() error {
	return errors.Join(f.seal(), f.lock.Close())
}
