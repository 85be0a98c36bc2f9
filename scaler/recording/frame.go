package recording

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// maxPayload bounds a frame. 100 workloads of 100 pods each take less than 2 MiB.
const maxPayload = 16 << 20

// The kinds of frames.
const (
	kindHeader byte = 'H'
	kindRecord byte = 'R'
)

// appendFrame appends a payload in its frame.
func appendFrame(out []byte, kind byte, parts ...[]byte) []byte {
	length, sum := 1, crc32.Update(0, castagnoli, []byte{kind})
	for _, p := range parts {
		length += len(p)
		sum = crc32.Update(sum, castagnoli, p)
	}
	out = binary.AppendUvarint(out, uint64(length))
	out = binary.LittleEndian.AppendUint32(out, sum)
	out = append(out, kind)
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// frames takes a segment apart.
type frames struct {
	in      *bufio.Reader
	payload []byte
	// offset is where the next frame begins, in bytes of the segment.
	offset int64
}

var errCut = errors.New("it is cut short")

// next returns the next frame's payload without its kind, good until the next
// call; io.EOF at the end of a whole segment.
func (f *frames) next() (kind byte, payload []byte, err error) {
	if _, err := f.in.Peek(1); err != nil {
		if errors.Is(err, io.EOF) {
			return 0, nil, io.EOF
		}
		return 0, nil, err
	}
	length, err := binary.ReadUvarint(f.in)
	if err != nil {
		return 0, nil, cut(err)
	}
	if length < 1 || length > maxPayload {
		return 0, nil, fmt.Errorf("expected a frame of 1 to %d bytes, found one of %d", maxPayload, length)
	}
	var sum [4]byte
	if _, err := io.ReadFull(f.in, sum[:]); err != nil {
		return 0, nil, cut(err)
	}
	if err := f.read(int(length)); err != nil {
		return 0, nil, cut(err)
	}
	if found, want := crc32.Checksum(f.payload, castagnoli), binary.LittleEndian.Uint32(sum[:]); found != want {
		return 0, nil, fmt.Errorf("expected the checksum %08x, found %08x", want, found)
	}
	f.offset += int64(uvarintLen(length)) + 4 + int64(length)
	return f.payload[0], f.payload[1:], nil
}

// read fills the payload. It grows with what is there, not with what a damaged
// length claims.
func (f *frames) read(length int) error {
	const step = 256 << 10
	f.payload = f.payload[:0]
	for len(f.payload) < length {
		have := len(f.payload)
		want := min(length, have+step)
		if cap(f.payload) < want {
			grown := make([]byte, have, max(want, 2*cap(f.payload)))
			copy(grown, f.payload)
			f.payload = grown
		}
		f.payload = f.payload[:want]
		if _, err := io.ReadFull(f.in, f.payload[have:want]); err != nil {
			return err
		}
	}
	return nil
}

func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCut
	}
	return err
}

func uvarintLen(v uint64) int {
	return len(binary.AppendUvarint(nil, v))
}
