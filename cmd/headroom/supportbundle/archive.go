package supportbundle

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/keda-headroom/headroom/scaler/recording"
)

// archive is the file that is being written: whole or not at all.
type archive struct {
	file      *os.File
	zip       *gzip.Writer
	tar       *tar.Writer
	directory string // in it
	at        time.Time
}

// create begins an archive at name, which must not exist.
func create(name, directory string, at time.Time) (*archive, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	a := &archive{file: f, zip: gzip.NewWriter(f), directory: directory, at: at}
	a.tar = tar.NewWriter(a.zip)
	return a, nil
}

func (a *archive) add(name string, text []byte) error {
	header := &tar.Header{Name: path.Join(a.directory, name), Mode: 0o600, Size: int64(len(text)), ModTime: a.at}
	if err := a.tar.WriteHeader(header); err != nil {
		return err
	}
	_, err := a.tar.Write(text)
	return err
}

// addRecording adds the files of the recording in a directory.
func (a *archive) addRecording(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !recording.IsSegment(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		if err := a.add(path.Join("recording", e.Name()), text); err != nil {
			return err
		}
	}
	return nil
}

// end finishes the archive; after an error nothing is left of it.
func (a *archive) end(before error) error {
	err := before
	if err == nil {
		err = errors.Join(a.tar.Close(), a.zip.Close())
	}
	err = errors.Join(err, a.file.Close())
	if err != nil {
		err = errors.Join(err, os.Remove(a.file.Name()))
	}
	return err
}

// unpack writes the files of a recording in a tar archive into a directory.
func unpack(in io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	files := tar.NewReader(in)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg || !recording.IsSegment(header.Name) {
			return fmt.Errorf("expected files of a recording, found %q", header.Name)
		}
		f, err := root.OpenFile(header.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = io.CopyN(f, files, header.Size)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
}
