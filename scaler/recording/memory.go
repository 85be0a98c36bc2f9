package recording

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"sync"
)

// memory keeps segments in the process.
type memory struct {
	mu       sync.Mutex
	segments []segment
	data     map[uint64][]byte
}

func newMemory() *memory { return &memory{data: map[uint64][]byte{}} }

func (m *memory) list() ([]segment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]segment(nil), m.segments...), nil
}

func (m *memory) open(s segment) (io.ReadCloser, error) {
	in, s, err := m.raw(s)
	if err != nil || !s.sealed {
		return in, err
	}
	return decompress(in)
}

func (m *memory) raw(s segment) (io.ReadCloser, segment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.data[s.number]
	if !ok {
		return nil, s, fmt.Errorf("segment %s: %w", s.name(), fs.ErrNotExist)
	}
	for _, now := range m.segments {
		if now.number == s.number {
			s = now
		}
	}
	return io.NopCloser(bytes.NewReader(data)), s, nil // what is appended later lies beyond its end
}

func (m *memory) create(s segment) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.segments = append(m.segments, s)
	m.data[s.number] = nil
	return nil
}

func (m *memory) append(frame []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := &m.segments[len(m.segments)-1]
	m.data[last.number] = append(m.data[last.number], frame...)
	last.size = int64(len(m.data[last.number]))
	return nil
}

func (m *memory) seal() error {
	m.mu.Lock()
	last := m.segments[len(m.segments)-1]
	data := m.data[last.number]
	m.mu.Unlock()
	var out bytes.Buffer
	if err := compress(&out, bytes.NewReader(data)); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.data[last.number] = bytes.Clone(out.Bytes())
	m.segments[len(m.segments)-1].sealed = true
	m.segments[len(m.segments)-1].size = int64(out.Len())
	return nil
}

func (m *memory) remove(s segment) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.segments {
		if m.segments[i].number == s.number {
			m.segments = append(m.segments[:i:i], m.segments[i+1:]...)
			break
		}
	}
	delete(m.data, s.number)
	return nil
}

func (m *memory) close() error { return nil }
