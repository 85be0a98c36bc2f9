// Package steadyport finds loopback ports that stay free while nobody listens
// on them for a moment, so that a server can be stopped and started again at
// the same address.
package steadyport

import (
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
)

// lowest leaves out the ports below, where well-known services live.
const lowest = 15000

// Listen opens a port on 127.0.0.1 from below the range that the kernel gives
// to outgoing connections and to listeners on port 0. Within that range any
// other program could be given the port while it is not open. If no such port
// can be had, Listen opens one that the kernel chooses.
func Listen() (net.Listener, error) {
	const attempts = 100
	end := ephemeralStart()
	for range attempts {
		if end <= lowest {
			break
		}
		port := lowest + rand.IntN(end-lowest)
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

// Port is Listen for a server that opens the port itself. Another program may
// take the port before: be ready to try again.
func Port() (int, error) {
	l, err := Listen()
	if err != nil {
		return 0, err
	}
	tcp, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.Join(errors.New("not a TCP port: "+l.Addr().String()), l.Close())
	}
	return tcp.Port, l.Close()
}

// ephemeralStart is the first port that the kernel chooses by itself:
// Linux says so, elsewhere it is the range that IANA recommends.
func ephemeralStart() int {
	const recommended = 49152
	data, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return recommended
	}
	fields := strings.Fields(string(data))
	if len(fields) != 2 {
		return recommended
	}
	start, err := strconv.Atoi(fields[0])
	if err != nil || start > recommended {
		return recommended
	}
	return start
}
