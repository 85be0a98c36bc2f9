package worker

import (
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// DialFrom dials from a local address of its own, as a pod does, so that the
// server can tell pods apart. "" leaves the choice to the system.
func DialFrom(address string) pgconn.DialFunc {
	d := net.Dialer{Timeout: 5 * time.Second}
	if address != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(address)}
	}
	return d.DialContext
}
