package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// attend watches over a running container: it reports when it has started and
// whether it is ready, and calls sick when it has to be restarted.
func (p *pod) attend(ctx context.Context, program Program, reported <-chan struct{}, sick func()) {
	began := time.Now()
	container := p.current().Spec.Containers[0]
	if container.StartupProbe != nil {
		probing, stop := context.WithCancel(ctx)
		started := false
		p.probe(probing, container, container.StartupProbe, func(ok bool) {
			started = ok
			stop() // the first result counts
		})
		stop()
		if !started {
			sick() // or it has ended, and this does nothing
			return
		}
		p.change(func(s *state) { s.started(true) })
	}
	var probing sync.WaitGroup
	defer probing.Wait()
	if container.LivenessProbe != nil {
		probing.Go(func() {
			p.probe(ctx, container, container.LivenessProbe, func(ok bool) {
				if !ok {
					sick()
				}
			})
		})
	}
	if program.ReportsReady {
		select {
		case <-reported:
		case <-ctx.Done():
			return
		}
	}
	if !pause(ctx, duration(p.current(), ReadyAfter)-time.Since(began)) {
		return
	}
	ready := func(ok bool) { p.change(func(s *state) { s.container.Ready = ok }) }
	if container.ReadinessProbe == nil {
		ready(true)
		return
	}
	p.probe(ctx, container, container.ReadinessProbe, ready)
}

// probe probes until ctx ends, and tells what as many results in a row as the
// thresholds want have in common: each time it changes.
func (p *pod) probe(ctx context.Context, container corev1.Container, probe *corev1.Probe, tell func(ok bool)) {
	seconds := func(n, least int32) time.Duration { return time.Duration(max(n, least)) * time.Second }
	if !pause(ctx, seconds(probe.InitialDelaySeconds, 0)) {
		return
	}
	row, last := int32(0), false
	for first := true; ; first = false {
		attempt, cancel := context.WithTimeout(ctx, seconds(probe.TimeoutSeconds, 1))
		err := p.probeOnce(attempt, container, probe)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if row++; first || last != (err == nil) {
			row, last = 1, err == nil
		}
		threshold := max(1, probe.SuccessThreshold)
		if !last {
			threshold = max(1, probe.FailureThreshold)
			p.node.options.Log.Debug("a probe failed", "pod", p.name(), "error", err)
		}
		if row == threshold {
			tell(last)
		}
		if !pause(ctx, seconds(probe.PeriodSeconds, 1)) {
			return
		}
	}
}

func (p *pod) probeOnce(ctx context.Context, container corev1.Container, probe *corev1.Probe) error {
	p.mu.Lock()
	host := p.state.address
	p.mu.Unlock()
	at := func(port intstr.IntOrString) string { return net.JoinHostPort(host, portOf(container, port)) }
	switch {
	case probe.HTTPGet != nil:
		return probeHTTP(ctx, at(probe.HTTPGet.Port), probe.HTTPGet)
	case probe.TCPSocket != nil:
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", at(probe.TCPSocket.Port))
		if err != nil {
			return err
		}
		return conn.Close()
	case probe.GRPC != nil:
		return probeGRPC(ctx, at(intstr.FromInt32(probe.GRPC.Port)), probe.GRPC.Service)
	}
	return errors.New("this node has httpGet, tcpSocket and grpc probes only")
}

// portOf is a port by its number, or by its name in the container.
func portOf(container corev1.Container, port intstr.IntOrString) string {
	if port.Type == intstr.String {
		for _, c := range container.Ports {
			if c.Name == port.StrVal {
				return strconv.Itoa(int(c.ContainerPort))
			}
		}
	}
	return port.String()
}

// prober asks anew each time, and believes any certificate, as a kubelet does.
var prober = &http.Client{Transport: &http.Transport{
	DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // as a kubelet
}}

func probeHTTP(ctx context.Context, at string, get *corev1.HTTPGetAction) error {
	url := strings.ToLower(string(get.Scheme)) + "://" + at + "/" + strings.TrimPrefix(get.Path, "/")
	if get.Scheme == "" {
		url = "http" + url
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	for _, h := range get.HTTPHeaders {
		request.Header.Add(h.Name, h.Value)
	}
	response, err := prober.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close() // nobody reads it
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}

func probeGRPC(ctx context.Context, at string, service *string) error {
	conn, err := grpc.NewClient(at, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // it is over either way
	request := &healthpb.HealthCheckRequest{}
	if service != nil {
		request.Service = *service
	}
	answer, err := healthpb.NewHealthClient(conn).Check(ctx, request)
	if err != nil {
		return err
	}
	if answer.Status != healthpb.HealthCheckResponse_SERVING {
		return fmt.Errorf("%s is %s", at, answer.Status)
	}
	return nil
}
