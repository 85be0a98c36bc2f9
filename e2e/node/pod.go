package node

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keda-headroom/headroom/internal/process"
)

// pod is one that is bound to the node, from then until it is deleted.
type pod struct {
	node               *Node
	uid                types.UID
	namespace, podName string
	dir                string // of its own

	// wanted ends when the pod is to end: it has a deletionTimestamp, or is no
	// longer in the API, or the node ends.
	wanted context.Context
	unwant context.CancelFunc

	dirty   chan struct{} // holds one: the API has something to be told
	changed chan struct{} // holds one: the API has told something

	mu       sync.Mutex
	object   *corev1.Pod // the latest; never changed, only replaced
	state    state
	finished bool             // the state is the last, and the object may go
	running  *process.Process // nil while none
}

func newPod(n *Node, object *corev1.Pod) *pod {
	p := &pod{
		node: n, uid: object.UID, namespace: object.Namespace, podName: object.Name,
		dir:   filepath.Join(n.dir, "pods", string(object.UID)),
		dirty: make(chan struct{}, 1), changed: make(chan struct{}, 1),
		state: state{phase: corev1.PodPending, startTime: metav1.Now(), conditions: append([]corev1.PodCondition(nil), object.Status.Conditions...)},
	}
	p.wanted, p.unwant = context.WithCancel(n.alive)
	p.update(object)
	return p
}

func (p *pod) name() string { return p.namespace + "/" + p.podName }

// update takes in what the API says.
func (p *pod) update(object *corev1.Pod) {
	p.mu.Lock()
	p.object = object
	p.mu.Unlock()
	signal(p.changed)
	if len(object.Spec.ReadinessGates) > 0 {
		signal(p.dirty)
	}
	if object.DeletionTimestamp != nil {
		p.unwant()
	}
}

// remove takes in that the API has no such pod any more: it ends as if it had
// been asked to.
func (p *pod) remove() { p.unwant() }

func (p *pod) current() *corev1.Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.object
}

func (p *pod) process() *process.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running
}

// change changes what is known of the pod, and tells the API.
func (p *pod) change(f func(*state)) {
	p.mu.Lock()
	f(&p.state)
	p.mu.Unlock()
	signal(p.dirty)
}

// snapshot is what the API is to be told now, and whether it is the last.
func (p *pod) snapshot() (last bool, status corev1.PodStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.finished, p.state.status(p.object)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is known already
	}
}

// run is the pod's life.
func (p *pod) run() {
	defer p.unwant()
	var publishing sync.WaitGroup
	defer publishing.Wait()
	object := p.current()
	if phase := object.Status.Phase; phase != corev1.PodSucceeded && phase != corev1.PodFailed {
		// It stays what it was under a node that had the name before.
		address, err := p.node.options.Addresses.take()
		if err != nil {
			p.node.options.Log.Error("no address for a pod", "pod", p.name(), "error", err)
			return
		}
		defer p.node.options.Addresses.giveBack(address)
		defer p.removeFiles()
		publishing.Go(p.publish)
		p.live(address)
		<-p.wanted.Done() // one that has ended stays until it is deleted
		p.mu.Lock()
		p.finished = true
		p.mu.Unlock()
		signal(p.dirty)
		publishing.Wait()
		return
	}
	<-p.wanted.Done()
	p.insist("delete it", p.delete)
}

func (p *pod) removeFiles() {
	if err := os.RemoveAll(p.dir); err != nil {
		p.node.options.Log.Warn("remove a pod's files", "pod", p.name(), "error", err)
	}
}

// live starts the pod and lives until it ends, or is not wanted any more.
func (p *pod) live(address netip.Addr) {
	object := p.current()
	p.change(func(s *state) {
		s.address = address.String()
		s.waiting("ContainerCreating", "")
	})
	if n := len(object.Spec.Containers) + len(object.Spec.InitContainers); n != 1 {
		p.change(func(s *state) {
			s.waiting("CreateContainerConfigError", fmt.Sprintf("this node runs pods of one container, this one has %d", n))
		})
		return
	}
	program, ok := p.pull(object.Spec.Containers[0].Image)
	if !ok || !pause(p.wanted, duration(object, StartDelay)) {
		return
	}
	p.runContainer(program)
}

// pull returns the program of the image. It does not return while that can't be
// pulled, unless with false when the pod is not wanted any more.
func (p *pod) pull(image string) (Program, bool) {
	first := p.node.options.Backoff
	for wait := first; ; wait = min(2*wait, 30*first) {
		program, ok := p.node.options.Programs[imageName(image)]
		if ok && p.current().Annotations[ImagePullFailure] != "true" {
			return program, true
		}
		message := fmt.Sprintf("failed to pull image %q", image)
		p.change(func(s *state) { s.waiting("ErrImagePull", message) })
		// As much of the time is said to be an error as a pull takes.
		if !pause(p.wanted, min(wait, time.Second)) {
			return Program{}, false
		}
		p.change(func(s *state) {
			s.waiting("ImagePullBackOff", fmt.Sprintf("Back-off pulling image %q: %s", image, message))
		})
		if !p.pauseUntilPullable(wait) {
			return Program{}, false
		}
	}
}

// pauseUntilPullable pauses, until a change of the pod lets its image be pulled
// at the latest. It returns false when the pod is not wanted any more.
func (p *pod) pauseUntilPullable(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for was := p.current().Annotations[ImagePullFailure]; ; {
		select {
		case <-timer.C:
			return true
		case <-p.wanted.Done():
			return false
		case <-p.changed:
			if p.current().Annotations[ImagePullFailure] != was {
				return true
			}
		}
	}
}
