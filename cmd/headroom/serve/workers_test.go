package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/keda-headroom/headroom/internal/pgserver"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/fleet"
)

// sessionsPerWorker is what each worker opens: what the policy declares.
const sessionsPerWorker = 3

// term is the one in which the service plans.
const term = "headroom_1"

// worker is one pod, with its sessions on the database from its own address.
type worker struct {
	pod      metrics.Pod
	sessions []*pgx.Conn
}

// hire adds n pods that nobody told about yet.
func (s *shop) hire(n int, gated bool) {
	for range n {
		s.hired++
		s.workers = append(s.workers, &worker{pod: metrics.Pod{
			UID: fmt.Sprintf("uid-%d", s.hired), Name: fmt.Sprintf("order-workers-%d", s.hired),
			Address:   fmt.Sprintf("127.1.%d.%d", s.hired/250, 1+s.hired%250),
			CreatedAt: time.Date(2026, 3, 1, 12, 0, s.hired, 0, time.UTC),
			Ready:     !gated, Gated: gated,
			Epoch: term, Version: "1", // it was stamped as soon as it came
		}})
	}
}

// dismiss ends the n-th worker and its sessions.
func (s *shop) dismiss(n int) {
	s.workers[n].leave()
	s.workers = append(s.workers[:n:n], s.workers[n+1:]...)
}

// leave ends the worker's sessions; the server may have ended them before.
func (w *worker) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for _, c := range w.sessions {
		_ = c.Close(ctx)
	}
	w.sessions = nil
}

// scale makes it n pods that run, as the HPA and Kubernetes do, without sessions
// for those that are new.
func (s *shop) scale(n int) {
	s.t.Helper()
	for i := len(s.workers) - 1; i >= 0; i-- {
		if i >= n || s.workers[i].pod.Gated {
			s.dismiss(i)
		}
	}
	s.hire(n-len(s.workers), false)
	s.publish()
}

// publish shows the pods, as Kubernetes does.
func (s *shop) publish() {
	s.t.Helper()
	state := metrics.Fleet{SpecReplicas: len(s.workers), StatusReplicas: len(s.workers), MaxReplicas: 50}
	for _, w := range s.workers {
		state.Pods = append(state.Pods, w.pod)
	}
	document, err := fleet.Format(map[metrics.ID]metrics.Fleet{orders: state})
	if err != nil {
		s.t.Fatal(err)
	}
	replace(s.t, s.fleets, document)
}

// unpublish takes away what shows the pods: the Kubernetes API can't be reached.
func (s *shop) unpublish() {
	s.t.Helper()
	if err := os.Remove(s.fleets); err != nil {
		s.t.Fatal(err)
	}
}

// work opens every running worker's sessions anew.
func (s *shop) work() {
	s.t.Helper()
	for _, w := range s.workers {
		w.leave()
	}
	for _, w := range s.workers {
		for range sessionsPerWorker {
			w.sessions = append(w.sessions, s.connect("worker", w.pod.Address))
		}
	}
}

// connect opens a session from an address, "" for any. A slot that was given up
// a moment ago may not be free yet, so it insists.
func (s *shop) connect(user, address string) *pgx.Conn {
	s.t.Helper()
	var opened *pgx.Conn
	eventually(s.t, s.log, "a session of "+user, func() (string, bool) {
		c, err := s.dial(user, address)
		if err != nil && !full(err) {
			s.t.Fatal(err)
		}
		opened = c
		return fmt.Sprint(err), err == nil
	})
	return opened
}

func (s *shop) dial(user, address string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(s.postgres.DSN(user, "postgres"))
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{}
	if address != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(address)}
	}
	config.DialFunc = dialer.DialContext
	return pgx.ConnectConfig(s.t.Context(), config)
}

// full reports whether a session was refused because no slot is free.
func full(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && answer.Code == pgserver.TooManyConnections
}

// crowd is another application that takes n slots and with them the last one;
// what it returns gives them back.
func (s *shop) crowd(n int) (disperse func()) {
	s.t.Helper()
	w := &worker{}
	s.t.Cleanup(w.leave)
	for range n {
		w.sessions = append(w.sessions, s.connect("app", ""))
	}
	if c, err := s.dial("app", ""); !full(err) {
		s.t.Fatalf("%d sessions more do not fill the server: one more got %v, %v", n, c, err)
	}
	return w.leave
}

// depth makes it n messages in the queue.
func (s *shop) depth(n int) {
	s.t.Helper()
	truth, ok := s.aws.Truth(queueName)
	if !ok {
		s.t.Fatal("there is no queue")
	}
	s.send(n - truth.Visible)
	for left := truth.Visible - n; left > 0; {
		received, err := s.sqs.ReceiveMessage(s.t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: s.queue, MaxNumberOfMessages: int32(min(left, 10))})
		if err != nil {
			s.t.Fatal(err)
		}
		var entries []types.DeleteMessageBatchRequestEntry
		for i, m := range received.Messages {
			id := strconv.Itoa(i)
			entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: &id, ReceiptHandle: m.ReceiptHandle})
		}
		if _, err := s.sqs.DeleteMessageBatch(s.t.Context(), &awssqs.DeleteMessageBatchInput{QueueUrl: s.queue, Entries: entries}); err != nil {
			s.t.Fatal(err)
		}
		left -= len(entries)
	}
}
