package steadyport

import (
	"net"
	"strconv"
	"testing"
)

func TestPort(t *testing.T) {
	t.Parallel()
	port, err := Port()
	if err != nil {
		t.Fatal(err)
	}
	if start := ephemeralStart(); start > lowest && (port < lowest || port >= start) {
		t.Errorf("port %d is not in %d to %d", port, lowest, start-1)
	}
	// It can be opened and closed again and again.
	for range 3 {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
