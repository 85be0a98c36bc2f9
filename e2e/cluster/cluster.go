package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/keda-headroom/headroom/e2e/binaries"
)

// Cluster is a running control plane. Make one with [Start].
type Cluster struct {
	options    Options
	dir        string
	remove     bool // dir, at the end
	server     string
	authority  *authority
	components map[string]*Component
	order      []*Component // as they were started

	config  *rest.Config
	client  kubernetes.Interface
	dynamic dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper

	mu     sync.Mutex
	failed []error // components that ended unasked
}

// Start starts a cluster and returns when all of it is ready. Where it fails nothing
// is left running, and the failure has the end of the log of what did not start.
//
// ctx bounds the start alone: the cluster runs until Close.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	if options.Log == nil {
		options.Log = io.Discard
	}
	options.Log = &lineWriter{to: options.Log}
	if options.Binaries.ControlPlane == "" {
		built, err := binaries.Build(ctx, options.Log)
		if err != nil {
			return nil, err
		}
		options.Binaries = built
	}
	c := &Cluster{options: options, dir: options.Dir, components: map[string]*Component{}}
	begin := time.Now()
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	fmt.Fprintf(options.Log, "cluster: up in %.1f s at %s, in %s\n", time.Since(begin).Seconds(), c.server, c.dir)
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	if err := c.makeDirectories(); err != nil {
		return err
	}
	keys, err := c.makeKeys()
	if err != nil {
		return err
	}
	ports, err := reservePorts()
	if err != nil {
		return err
	}
	c.server = "https://" + address(ports.apiServer)
	if err := c.connect(); err != nil {
		return err
	}
	etcd, err := c.etcd(ports)
	if err != nil {
		return err
	}
	if err := c.run(ctx, etcd, c.apiServer(ports, keys)); err != nil {
		return err
	}
	manager, err := c.controllerManager(ports, keys)
	if err != nil {
		return err
	}
	scheduler, err := c.scheduler(ports, keys)
	if err != nil {
		return err
	}
	begin := []func() error{
		func() error { return manager.Start(ctx) },
		func() error { return scheduler.Start(ctx) },
	}
	c.add(manager, scheduler)
	if c.options.KEDA {
		begin = append(begin, func() error { return c.startKEDA(ctx, ports) })
	}
	return atOnce(begin...)
}

func (c *Cluster) makeDirectories() error {
	if c.dir == "" {
		dir, err := os.MkdirTemp("", "headroom-cluster-")
		if err != nil {
			return err
		}
		c.dir, c.remove = dir, true
	}
	dir, err := filepath.Abs(c.dir)
	if err != nil {
		return err
	}
	c.dir = dir
	for _, name := range []string{"etcd", "keda", "kubeconfigs", "logs", "pki"} {
		if err := os.MkdirAll(filepath.Join(c.dir, name), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// connect makes the administrator's clients.
func (c *Cluster) connect() error {
	path, err := c.userKubeconfig("admin", "admin", "system:masters")
	if err != nil {
		return err
	}
	if c.config, err = clientcmd.BuildConfigFromFlags("", path); err != nil {
		return err
	}
	// Tests look at conditions many times a second.
	c.config.QPS, c.config.Burst = 200, 400
	c.config.WarningHandler = rest.NoWarnings{}
	if c.client, err = kubernetes.NewForConfig(c.config); err != nil {
		return err
	}
	if c.dynamic, err = dynamic.NewForConfig(c.config); err != nil {
		return err
	}
	c.mapper = newMapper(c.client)
	return nil
}

// add makes components the cluster's, to be ended with it.
func (c *Cluster) add(components ...*Component) {
	for _, component := range components {
		c.components[component.name] = component
		c.order = append(c.order, component)
	}
}

// run adds components and starts them, one after the other.
func (c *Cluster) run(ctx context.Context, components ...*Component) error {
	c.add(components...)
	for _, component := range components {
		if err := component.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Config is for clients that may do everything. It is a copy.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Client is for whoever may do everything.
func (c *Cluster) Client() kubernetes.Interface { return c.client }

// Dynamic is Client for kinds that it doesn't know, as KEDA's.
func (c *Cluster) Dynamic() dynamic.Interface { return c.dynamic }

// Dir is the directory of everything that the cluster writes.
func (c *Cluster) Dir() string { return c.dir }

// Component returns one of etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler and, where KEDA was asked for, keda-operator, keda-metrics-apiserver
// and keda-admission-webhooks; nil if there is none of that name.
func (c *Cluster) Component(name string) *Component { return c.components[name] }

// Close ends everything at once and removes the directory, unless it was given. It
// fails if a component had ended unasked, and was not started again, with its name.
func (c *Cluster) Close() error {
	var ends sync.WaitGroup
	for _, component := range c.order {
		ends.Go(component.Kill)
	}
	ends.Wait()
	c.mu.Lock()
	err := errors.Join(c.failed...)
	c.mu.Unlock()
	if c.remove {
		err = errors.Join(err, os.RemoveAll(c.dir))
	}
	return err
}

// ended notes that a component ended unasked; one that goes on again is only told.
func (c *Cluster) ended(name string, err error, again bool) {
	err = fmt.Errorf("%s ended unasked: %w", name, errors.Join(err, errEnded))
	fmt.Fprintf(c.options.Log, "cluster: %v\n", err)
	if again {
		fmt.Fprintf(c.options.Log, "cluster: %s was started again\n", name)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = append(c.failed, err)
}

// atOnce calls all functions at once and returns when all have.
func atOnce(functions ...func() error) error {
	errs := make([]error, len(functions))
	var all sync.WaitGroup
	for i, function := range functions {
		all.Go(func() { errs[i] = function() })
	}
	all.Wait()
	return errors.Join(errs...)
}

// lineWriter lets several goroutines write whole lines.
type lineWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}
