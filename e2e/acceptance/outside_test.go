package acceptance

import (
	"context"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/jackc/pgx/v5"

	"github.com/keda-headroom/headroom/internal/fakeaws"
	"github.com/keda-headroom/headroom/internal/pgserver"
)

// This is what a site has outside the cluster: queues, and its database server.

// queue makes a queue and returns its URL.
func (s *site) queue(name string) string {
	s.t.Helper()
	out, err := s.queues.CreateQueue(s.t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(s.queueName(name))})
	if err != nil {
		s.t.Fatal(err)
	}
	return aws.ToString(out.QueueUrl)
}

func (s *site) queueName(name string) string { return s.namespace + "-" + name }

// send puts so many messages into a queue.
func (s *site) send(url string, messages int) {
	s.t.Helper()
	const most = 10 // that SQS takes at a time
	for sent := 0; sent < messages; {
		in := &sqs.SendMessageBatchInput{QueueUrl: &url}
		for ; sent < messages && len(in.Entries) < most; sent++ {
			in.Entries = append(in.Entries, sqstypes.SendMessageBatchRequestEntry{
				Id: aws.String(strconv.Itoa(len(in.Entries))), MessageBody: aws.String(url + "#" + strconv.Itoa(sent)),
			})
		}
		if out, err := s.queues.SendMessageBatch(s.t.Context(), in); err != nil || len(out.Failed) > 0 {
			s.t.Fatal(err, out)
		}
	}
}

// sendOne puts a message into a queue.
func (s *site) sendOne(ctx context.Context, url, body string) error {
	_, err := s.queues.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body})
	return err
}

// purge empties a queue.
func (s *site) purge(url string) {
	s.t.Helper()
	if _, err := s.queues.PurgeQueue(s.t.Context(), &sqs.PurgeQueueInput{QueueUrl: &url}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) truth(queue string) fakeaws.Truth {
	truth, ok := s.aws.Truth(s.queueName(queue))
	if !ok {
		s.t.Fatalf("no queue %s", queue)
	}
	return truth
}

// handled is how many different messages workers have written down.
func (s *site) handled() (n int) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.database.DSN(pgserver.Superuser, "postgres"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(s.t.Context())) }()
	if err := conn.QueryRow(s.t.Context(), "SELECT count(DISTINCT message) FROM handled").Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// others opens connections of another application, and returns what closes them.
func (s *site) others(connections int) (release func()) {
	s.t.Helper()
	var open []*pgx.Conn
	release = func() {
		for _, conn := range open {
			_ = conn.Close(context.WithoutCancel(s.t.Context()))
		}
		open = nil
	}
	s.t.Cleanup(release)
	for range connections {
		conn, err := pgx.Connect(s.t.Context(), s.database.DSN("web", "postgres"))
		if err != nil {
			s.t.Fatal(err)
		}
		open = append(open, conn)
	}
	return release
}
