package serve

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/connrotation"

	"github.com/keda-headroom/headroom/scaler/leader"
)

// leader returns this process as a candidate. It has connections of its own: a
// renewal must not wait behind anything, and one that isn't answered ends its
// connection, which may be half open.
func (o Options) leader(config *rest.Config, watched leader.Watched, log *slog.Logger) (*leader.Leader, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	dial := config.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 10 * time.Second}).DialContext
	}
	dialer := connrotation.NewDialer(dial)
	config.Dial = dialer.DialContext
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	candidate := o.candidate()
	candidate.Client, candidate.Watched, candidate.Log, candidate.Unanswered = client, watched, log, dialer.CloseAll
	return leader.New(candidate)
}

// candidate are the leader's options as far as flags give them.
func (o Options) candidate() leader.Options {
	return leader.Options{
		Namespace: o.namespace(), Pod: o.podName(), Alone: !o.LeaderElect,
		LeaseDuration: o.LeaseDuration, RenewDeadline: o.RenewDeadline, RetryPeriod: o.RetryPeriod,
	}
}

// podName is the name of the pod that this process runs in, or the machine's.
func (o Options) podName() string {
	host, _ := os.Hostname() // of a pod it is the pod's name
	return cmp.Or(o.PodName, os.Getenv("POD_NAME"), host, "headroom")
}
