package cluster

import (
	"net"
	"strconv"

	"github.com/keda-headroom/headroom/internal/steadyport"
)

// loopback is where everything listens.
const loopback = "127.0.0.1"

// ports of a cluster. Nobody is given them while a component is stopped for a moment.
type ports struct {
	etcd, etcdPeer                           int
	apiServer, controllerManager, scheduler  int
	operatorMetrics, operatorProbe           int
	operatorService                          int // asked by the adapter
	adapter, adapterMetrics                  int
	webhooks, webhooksMetrics, webhooksProbe int
}

func reservePorts() (ports, error) {
	var p ports
	for _, port := range []*int{
		&p.etcd, &p.etcdPeer, &p.apiServer, &p.controllerManager, &p.scheduler,
		&p.operatorMetrics, &p.operatorProbe, &p.operatorService, &p.adapter, &p.adapterMetrics,
		&p.webhooks, &p.webhooksMetrics, &p.webhooksProbe,
	} {
		// Open until all are chosen, so that all are different.
		listener, err := steadyport.Listen()
		if err != nil {
			return ports{}, err
		}
		defer func() { _ = listener.Close() }()
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}

func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }
