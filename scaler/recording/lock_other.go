//go:build !unix

package recording

import (
	"io"
	"os"
	"path/filepath"
)

// lockDirectory marks the directory as used. On this system nothing keeps a
// second process from writing to it; names of segments still never collide.
func lockDirectory(path string) (io.Closer, error) {
	return os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
}
