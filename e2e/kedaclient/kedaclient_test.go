package kedaclient_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/keda-headroom/headroom/cmd/headroom/serve"
	"github.com/keda-headroom/headroom/e2e/binaries"
	"github.com/keda-headroom/headroom/internal/fakeaws"
	"github.com/keda-headroom/headroom/internal/pgserver/pgtest"
	"github.com/keda-headroom/headroom/internal/steadyport"
)

// TestKEDAsOwnClient polls and listens as KEDA's operator does, through a restart
// of Headroom. 20 connections are for anybody: 2 are reserved and one is
// Headroom's, so that 5 pods of 3 fit.
func TestKEDAsOwnClient(t *testing.T) {
	built, err := binaries.Build(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	s := newShop(t)
	stop := s.open()
	pull := ask(t, built.Client, s.address, "order-workers", false)
	push := ask(t, built.Client, s.address, "order-workers", true)
	for _, a := range []*asker{pull, push} {
		e := a.next(0, "no work", answers(0, false))
		if e.Metric != "s0-headroom-order-workers" || e.Target != 1000 {
			t.Errorf("expected the metric s0-headroom-order-workers with a target of 1, found %+v", e)
		}
	}

	s.send(30)
	for _, a := range []*asker{pull, push} {
		a.next(0, "three pods' work", answers(3, true))
	}
	push.next(0, "activity, pushed", func(e event) bool { return e.Kind == "active" && e.Active })
	s.send(100)
	for _, a := range []*asker{pull, push} {
		a.next(0, "as many as fit", answers(5, true))
	}
	if told := push.pushed(0); !slices.Equal(told, []bool{false, true}) && !slices.Equal(told, []bool{true}) {
		t.Errorf("activity was pushed as %v, expected each change once", told)
	}
	push.next(0, "the metric's specification, pushed", func(e event) bool { return e.Kind == "spec" && e.Target == 1000 })

	before := push.now()
	stop()
	for _, a := range []*asker{pull, push} {
		a.next(a.now(), "an error while nobody answers", func(e event) bool { return e.Kind == "answer" && e.Error != "" })
	}
	stop = s.open()
	defer stop()
	for _, a := range []*asker{pull, push} {
		a.next(a.now(), "as many as fit, after the restart", answers(5, true))
	}
	push.next(before, "activity, pushed by the new process", func(e event) bool { return e.Kind == "active" && e.Active })
	if slices.Contains(push.pushed(before), false) {
		t.Errorf("activity was pushed as %v through the restart, while there was work all along", push.pushed(before))
	}

	before = push.now()
	s.purge()
	for _, a := range []*asker{pull, push} {
		a.next(a.now(), "no work left", answers(0, false))
	}
	push.next(before, "inactivity, pushed", func(e event) bool { return e.Kind == "active" && !e.Active })

	stranger := ask(t, built.Client, s.address, "strangers", false)
	stranger.next(0, "what is wrong with the trigger", func(e event) bool {
		return strings.Contains(e.Error, "no policy governs workload shop/strangers") && strings.Contains(e.Error, "order-workers")
	})
}

// shop is a queue, a database and a policy, and where Headroom serves.
type shop struct {
	t       *testing.T
	address string
	options serve.Options
	sqs     *awssqs.Client
	queue   *string
}

func newShop(t *testing.T) *shop {
	t.Helper()
	postgres := pgtest.Start(t, map[string]string{"max_connections": "23", "superuser_reserved_connections": "3"})
	pgtest.Exec(t, postgres, "CREATE ROLE monitor LOGIN IN ROLE pg_monitor", "CREATE ROLE worker LOGIN")
	aws := fakeaws.New(fakeaws.Options{})
	if _, err := aws.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(aws.Close)
	config := aws.Config()
	s := &shop{t: t, sqs: awssqs.NewFromConfig(config)}
	name := "orders"
	created, err := s.sqs.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		t.Fatal(err)
	}
	s.queue = created.QueueUrl
	port, err := steadyport.Port() // it is left for a while, and must not be taken
	if err != nil {
		t.Fatal(err)
	}
	s.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))

	dir := t.TempDir()
	for file, content := range map[string]string{
		"dsn":         postgres.DSN("monitor", "postgres"),
		"fleets.json": `{"fleets": {"shop/order-workers": {"specReplicas": 0, "statusReplicas": 0, "maxReplicas": 50}}}`,
		"policy.yaml": fmt.Sprintf(`apiVersion: keda-headroom.github.io/v1alpha1
kind: Policy
metadata: {namespace: shop, name: orders}
databases:
- name: orders-db
  postgresql: {dsn: {file: %s}}
  reserve: 2
  othersWindow: 1s
  pollInterval: 100ms
  maxReadingAge: 1m
workloads:
- name: order-workers
  scaledObjectRef: {name: order-workers}
  mode: Target
  databaseRefs: [{name: orders-db, user: worker, connectionsPerPod: 3}]
  sqs: {queueURL: %q, messagesPerPod: 10, pollInterval: 100ms}
  scaleDownStabilization: 0s
`, filepath.Join(dir, "dsn"), *s.queue),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.options = serve.Defaults()
	s.options.Policies, s.options.Fleets = []string{filepath.Join(dir, "policy.yaml")}, filepath.Join(dir, "fleets.json")
	s.options.AWS, s.options.GRPCAddress, s.options.HTTPAddress = &config, s.address, "127.0.0.1:0"
	return s
}

// open starts Headroom at the shop's address; what it returns stops it.
func (s *shop) open() (stop func()) {
	s.t.Helper()
	options, log := s.options, new(bytes.Buffer)
	ready, done := make(chan serve.Addresses, 1), make(chan error, 1)
	options.Log, options.Ready = log, func(a serve.Addresses) { ready <- a }
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- serve.Run(ctx, options) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("%v\n%s", err, log)
		}
	})
	s.t.Cleanup(stop)
	select {
	case <-ready:
	case err := <-done:
		done <- err
		s.t.Fatalf("Headroom ended: %v", err)
	case <-time.After(within):
		s.t.Fatalf("Headroom is not ready within %s", within)
	}
	return stop
}

func (s *shop) send(n int) {
	s.t.Helper()
	for n > 0 {
		var entries []types.SendMessageBatchRequestEntry
		for i := range min(n, 10) {
			id, body := strconv.Itoa(i), "an order"
			entries = append(entries, types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &body})
		}
		if _, err := s.sqs.SendMessageBatch(s.t.Context(), &awssqs.SendMessageBatchInput{QueueUrl: s.queue, Entries: entries}); err != nil {
			s.t.Fatal(err)
		}
		n -= len(entries)
	}
}

func (s *shop) purge() {
	s.t.Helper()
	if _, err := s.sqs.PurgeQueue(s.t.Context(), &awssqs.PurgeQueueInput{QueueUrl: s.queue}); err != nil {
		s.t.Fatal(err)
	}
}
