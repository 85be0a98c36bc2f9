package scaler

import (
	"net"
	"time"
)

// standbyConnection is how long a connection may stay open where another Headroom
// leads. A client that came before the leader's pod was the published one would
// stay for as long as connections may be used.
const standbyConnection = 2 * time.Second

// brief closes connections that are standbyConnection old while standby says that
// another Headroom has to be asked.
type brief struct {
	net.Listener
	standby func() string
}

// Accept waits for a connection.
func (b brief) Accept() (net.Conn, error) {
	connection, err := b.Listener.Accept()
	if err == nil {
		time.AfterFunc(standbyConnection, func() {
			if b.standby() != "" {
				_ = connection.Close() // closed already, or closed now
			}
		})
	}
	return connection, err
}
