package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// Service forwards connections. Make one with [Listen].
type Service struct {
	name    string
	port    int32
	address string

	ctx   context.Context // ends with Close
	close context.CancelFunc
	work  sync.WaitGroup

	service, pods cache.Store

	mu       sync.Mutex
	targets  []target
	next     int
	listener net.Listener              // nil while there is no target
	open     map[string]map[*flow]bool // by the UID of the pod
}

// target is a pod's port.
type target struct{ uid, address string }

// flow is one connection, forwarded.
type flow struct{ client, server net.Conn }

// Listen forwards connections to port of a Service in Kubernetes from address, a
// host:port that never changes, to a port of its pods: of those that match its
// selector, and are ready and not terminating, or of all that match where the
// Service publishes addresses that aren't ready, one after the other. While there is
// none, connections are refused. A connection ends when its pod is no longer in
// the API, if not before.
//
// It returns when it knows the Service and its pods; ctx bounds that alone. It
// goes on until Close.
func Listen(ctx context.Context, client kubernetes.Interface, namespace, name string, port int32, address string) (*Service, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, fmt.Errorf("service %s/%s: its address: %w", namespace, name, err)
	}
	s := &Service{name: name, port: port, address: address, open: map[string]map[*flow]bool{}}
	s.ctx, s.close = context.WithCancel(context.Background())
	services := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace), informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("metadata.name", name).String()
	})).Core().V1().Services().Informer()
	pods := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace)).Core().V1().Pods().Informer()
	s.service, s.pods = services.GetStore(), pods.GetStore()
	for _, informer := range []cache.SharedIndexInformer{services, pods} {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { s.refresh() }, UpdateFunc: func(any, any) { s.refresh() }, DeleteFunc: func(any) { s.refresh() },
		}); err != nil {
			return nil, err
		}
		s.work.Go(func() { informer.Run(s.ctx.Done()) })
	}
	if !cache.WaitForCacheSync(ctx.Done(), services.HasSynced, pods.HasSynced) {
		return nil, errors.Join(fmt.Errorf("service %s/%s: list it and its pods: %w", namespace, name, context.Cause(ctx)), s.Close())
	}
	if err := s.update(); err != nil {
		return nil, errors.Join(fmt.Errorf("service %s/%s: %w", namespace, name, err), s.Close())
	}
	return s, nil
}

// Address is the Service's host:port.
func (s *Service) Address() string { return s.address }

// Targets is how many pods get connections at this moment.
func (s *Service) Targets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.targets)
}

// Close ends all connections, and returns when nothing runs any more.
func (s *Service) Close() error {
	s.close()
	s.mu.Lock()
	err := s.deafen()
	for _, flows := range s.open {
		for f := range flows {
			f.reset()
		}
	}
	s.mu.Unlock()
	s.work.Wait()
	return err
}

// refresh is update, again where somebody has the address for a moment.
func (s *Service) refresh() {
	if s.update() != nil {
		time.AfterFunc(200*time.Millisecond, s.refresh)
	}
}

// update takes in what the API says.
func (s *Service) update() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil
	}
	s.targets = nil
	there := map[string]bool{}
	for _, o := range s.pods.List() {
		pod := o.(*corev1.Pod)
		there[string(pod.UID)] = true
		for _, o := range s.service.List() {
			if port, ok := portOf(o.(*corev1.Service), s.name, s.port, pod); ok {
				s.targets = append(s.targets, target{string(pod.UID), net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(port)))})
			}
		}
	}
	for uid, flows := range s.open {
		if !there[uid] {
			for f := range flows {
				f.reset()
			}
		}
	}
	if len(s.targets) == 0 {
		return s.deafen()
	}
	return s.listen()
}

// deafen refuses connections. The caller holds mu.
func (s *Service) deafen() error {
	if s.listener == nil {
		return nil
	}
	err := s.listener.Close()
	s.listener = nil
	return err
}

// listen accepts connections. The caller holds mu.
func (s *Service) listen() error {
	if s.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		return err
	}
	s.listener = l
	s.work.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // deafened; nothing else ends a listener on loopback for good
			}
			s.work.Go(func() { s.forward(client) })
		}
	})
	return nil
}

// forward carries one connection from its beginning to its end.
func (s *Service) forward(client net.Conn) {
	to, ok := s.pick()
	if !ok {
		(&flow{client: client}).reset()
		return
	}
	server, err := new(net.Dialer).DialContext(s.ctx, "tcp", to.address)
	f := &flow{client: client, server: server}
	if err != nil || !s.track(to, f) {
		f.reset()
		return
	}
	var both sync.WaitGroup
	both.Go(func() { carry(server, client) })
	both.Go(func() { carry(client, server) })
	both.Wait()
	s.mu.Lock()
	delete(s.open[to.uid], f)
	if len(s.open[to.uid]) == 0 {
		delete(s.open, to.uid)
	}
	s.mu.Unlock()
	_ = client.Close() // both have ended
	_ = server.Close()
}

// pick returns the next target.
func (s *Service) pick() (target, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.targets) == 0 {
		return target{}, false
	}
	s.next++
	return s.targets[s.next%len(s.targets)], true
}

// track remembers a connection, so that it can be ended; false when it has to
// end at once.
func (s *Service) track(to target, f *flow) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	if s.open[to.uid] == nil {
		s.open[to.uid] = map[*flow]bool{}
	}
	s.open[to.uid][f] = true
	return true
}

// carry copies from src to dst until src ends, and then tells dst.
func carry(dst, src net.Conn) {
	if _, err := io.Copy(dst, src); err != nil {
		(&flow{client: dst, server: src}).reset()
		return
	}
	if half, ok := dst.(*net.TCPConn); ok {
		_ = half.CloseWrite() // fails if dst is gone, which its reader finds out
	}
}

// reset ends both sides without farewell.
func (f *flow) reset() {
	for _, c := range []net.Conn{f.client, f.server} {
		if tcp, ok := c.(*net.TCPConn); ok && tcp != nil {
			_ = tcp.SetLinger(0) // fails only on a closed connection
			_ = tcp.Close()
		}
	}
}
