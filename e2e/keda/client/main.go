// Command client is KEDA's own client of external scalers, without the rest of
// KEDA: it asks one as KEDA's operator does, and writes what it is told to
// standard output, one JSON object a line, until its standard input ends.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/kedacore/keda/v2/pkg/scalers"
	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"
	v2 "k8s.io/api/autoscaling/v2"
)

// event is one line.
type event struct {
	// Kind is "answer" to a poll, "active" and "spec" from the streams.
	Kind string `json:"kind"`
	// Metric, Target and Value are of an answer: thousandths, as the autoscaler gets
	// them. Metric and Target are of a spec, too.
	Metric string `json:"metric,omitempty"`
	Target int64  `json:"target,omitempty"`
	Value  int64  `json:"value"`
	Active bool   `json:"active"`
	Error  string `json:"error,omitempty"`
}

func main() {
	address := flag.String("address", "", "the scaler's, as HOST:PORT")
	namespace := flag.String("namespace", "", "of the ScaledObject")
	name := flag.String("name", "", "of the ScaledObject")
	workload := flag.String("workload", "", "in the trigger's metadata")
	push := flag.Bool("push", false, "be a trigger of type external-push")
	interval := flag.Duration("interval", 100*time.Millisecond, "between polls")
	flag.Parse()
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // whatever ends it, whoever started us is done
		stop()
	}()
	config := &scalersconfig.ScalerConfig{
		ScalableObjectName: *name, ScalableObjectNamespace: *namespace, ScalableObjectType: "ScaledObject",
		TriggerMetadata: map[string]string{"scalerAddress": *address, "workload": *workload},
		TriggerType:     "external", GlobalHTTPTimeout: 3 * time.Second,
	}
	if err := run(ctx, config, *push, *interval); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, config *scalersconfig.ScalerConfig, push bool, interval time.Duration) error {
	out := writer{to: json.NewEncoder(os.Stdout)}
	var scaler scalers.Scaler
	var streams sync.WaitGroup
	defer streams.Wait()
	if push {
		config.TriggerType = "external-push"
		pusher, err := scalers.NewExternalPushScaler(config)
		if err != nil {
			return err
		}
		scaler = pusher
		active := make(chan bool)
		streams.Go(func() { pusher.Run(ctx, active) })
		streams.Go(func() { out.follow(ctx, active, pusher) })
	} else {
		puller, err := scalers.NewExternalScaler(config)
		if err != nil {
			return err
		}
		scaler = puller
	}
	defer func() { _ = scaler.Close(context.Background()) }() // the process ends with it
	for ctx.Err() == nil {
		out.write(ask(ctx, scaler))
		select {
		case <-time.After(interval):
		case <-ctx.Done():
		}
	}
	return nil
}

// ask polls as KEDA does: the specification, then value and activity.
func ask(ctx context.Context, scaler scalers.Scaler) event {
	specs := scaler.GetMetricSpecForScaling(ctx)
	if len(specs) != 1 {
		return event{Kind: "answer", Error: fmt.Sprintf("expected one metric, found %d", len(specs))}
	}
	e := specified("answer", specs)
	values, active, err := scaler.GetMetricsAndActivity(ctx, e.Metric)
	if err != nil {
		e.Error = err.Error()
		return e
	}
	e.Active = active
	for _, v := range values {
		e.Value += v.Value.MilliValue()
	}
	return e
}

func specified(kind string, specs []v2.MetricSpec) event {
	external := specs[0].External
	e := event{Kind: kind, Metric: external.Metric.Name}
	if external.Target.AverageValue != nil {
		e.Target = external.Target.AverageValue.MilliValue()
	}
	return e
}

// writer writes a line at a time.
type writer struct {
	mu sync.Mutex
	to *json.Encoder
}

func (w *writer) write(e event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.to.Encode(e) // whoever reads has ended, and our standard input with it
}

// follow writes what is pushed.
func (w *writer) follow(ctx context.Context, active <-chan bool, scaler scalers.PushScaler) {
	var specs <-chan []v2.MetricSpec
	if source, ok := scaler.(interface{ MetricSpecChan() <-chan []v2.MetricSpec }); ok {
		specs = source.MetricSpecChan()
	}
	for {
		select {
		case is, open := <-active:
			if !open {
				active = nil // the stream has ended, with ctx
				continue
			}
			w.write(event{Kind: "active", Active: is})
		case s := <-specs:
			if len(s) == 1 {
				w.write(specified("spec", s))
			}
		case <-ctx.Done():
			return
		}
	}
}
