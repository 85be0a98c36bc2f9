package scaler

import (
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// standbyConnection is how long a connection may stay open where another Headroom
// leads. A client that came before the leader's pod was the published one would
// stay for as long as connections may be used.
const standbyConnection = 5 * time.Second

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

// NewLeaderCollector returns the metric that says whether this process leads.
func NewLeaderCollector(leads func() bool) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "headroom_leader",
		Help: "Whether this process leads (1), or follows (0).",
	}, func() float64 {
		if leads() {
			return 1
		}
		return 0
	})
}
