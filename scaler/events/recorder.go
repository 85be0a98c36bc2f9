package events

import (
	"context"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
)

// controller names us in every event.
const controller = "keda-headroom.github.io/headroom"

// Record returns a recorder whose events are sent by client until ctx ends; what
// can't be sent is dropped. Events of one reason on one object become one series.
func Record(ctx context.Context, client kubernetes.Interface) (Recorder, error) {
	ctx = klog.NewContext(ctx, logr.Discard())
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: client.EventsV1()})
	if err := broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, broadcaster.Shutdown)
	return broadcaster.NewRecorder(scheme.Scheme, controller), nil
}
