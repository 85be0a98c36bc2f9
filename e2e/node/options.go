package node

import (
	"errors"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
)

// Options say what node to [Start].
type Options struct {
	// Config reaches the API as somebody who may do what a kubelet may. It is
	// copied; limits on its rate don't count here.
	Config *rest.Config
	// Name of the Node.
	Name string
	// Labels of the Node, besides those of any node; Taints that keep other pods
	// away.
	Labels map[string]string
	Taints []corev1.Taint
	// Addresses of its pods, which no other node may use.
	Addresses *Addresses
	// Programs by image, without tag and digest. A pod of another image has one
	// that can't be pulled.
	Programs map[string]Program
	// Dir is for volumes and the logs of containers, logs/NAMESPACE_POD.log. ""
	// is a temporary directory that Close removes; of one that is given the logs
	// stay.
	Dir string
	// Backoff is how long a container that ended waits for its second restart
	// (the first comes at once); it doubles with each, up to 30 times as much. 0
	// is a kubelet's, 10 s. It is also that of image pulls.
	Backoff time.Duration
	// Heartbeat is the time between two renewals of the Node's Lease; 0 is a
	// kubelet's, 10 s.
	Heartbeat time.Duration
	// Log is told what is out of the ordinary; nil tells nobody.
	Log *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	switch {
	case o.Config == nil:
		return o, errors.New("node: no Config to reach the API with")
	case o.Name == "":
		return o, errors.New("node: no Name")
	case o.Addresses == nil:
		return o, errors.New("node: no Addresses for pods")
	}
	if o.Backoff <= 0 {
		o.Backoff = 10 * time.Second
	}
	if o.Heartbeat <= 0 {
		o.Heartbeat = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = o.Log.With("node", o.Name)
	return o, nil
}
