// Package lines cuts what child processes write into lines.
package lines

import "bytes"

// Writer calls Line for every whole line written to it, without its end. It is
// for the output of a child process, which arrives in pieces, and is not safe
// for use by several goroutines. The slice is valid during the call alone.
type Writer struct {
	Line func([]byte)
	rest []byte
}

// Write belongs to io.Writer. It never fails.
func (w *Writer) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, ok := bytes.Cut(w.rest, []byte{'\n'})
		if !ok {
			return len(p), nil
		}
		w.Line(line)
		w.rest = rest
	}
}
