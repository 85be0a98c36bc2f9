package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/jackc/pgx/v5/pgxpool"
)

// workerConfig is all that a worker is told: one line of JSON on its standard
// input, so that no password stands in an argument.
type workerConfig struct {
	DSN         string        `json:"dsn"`
	Address     string        `json:"address"` // to connect from, "" for any
	Application string        `json:"application"`
	Table       string        `json:"table"` // of handled messages, schema included
	Connections int           `json:"connections"`
	Work        time.Duration `json:"work"` // that a message holds a connection for
	Endpoint    string        `json:"endpoint"`
	Region      string        `json:"region"`
	QueueURL    string        `json:"queueURL"`
}

const (
	// receiveWait is short, so that a worker that is told to stop need not cut
	// off a poll: messages on their way in it would stay in flight.
	receiveWait = time.Second
	// Handlers that got no connection wait before they take a message again.
	firstBackoff, longestBackoff = 500 * time.Millisecond, 4 * time.Second
	acquireTimeout               = 5 * time.Second
)

// RunWorker is a worker's process: it consumes messages, each with a connection
// of its pool, until it gets SIGTERM or its standard input ends (whoever started
// it is gone). Then it finishes what it has begun, closes its connections and
// returns.
func RunWorker(stdin io.Reader, stdout io.Writer) error {
	in := bufio.NewReader(stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("worker: expected its configuration on standard input: %w", err)
	}
	var config workerConfig
	if err := json.Unmarshal(line, &config); err != nil {
		return fmt.Errorf("worker: its configuration: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, in) // whatever ends it, the other side is gone
		stop()
	}()
	return newWorker(config, stdout).run(ctx)
}

type worker struct {
	config workerConfig
	queue  *sqs.Client

	mu     sync.Mutex
	out    *json.Encoder
	failed int // connections refused or failed since the last success
}

func newWorker(config workerConfig, stdout io.Writer) *worker {
	return &worker{config: config, out: json.NewEncoder(stdout), queue: sqs.NewFromConfig(aws.Config{
		Region: config.Region, BaseEndpoint: &config.Endpoint,
		Credentials: credentials.NewStaticCredentialsProvider("demo", "demo", ""),
	})}
}

func (w *worker) tell(e event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.At = time.Now()
	_ = w.out.Encode(e) // nobody listens any more: standard input ends too
}

// run consumes until ctx ends, and then finishes what was begun.
func (w *worker) run(ctx context.Context) error {
	pool, err := w.open()
	if err != nil {
		return err
	}
	closed := make(chan struct{})
	context.AfterFunc(ctx, func() {
		pool.Close() // idle connections at once, the others as they come back
		close(closed)
	})
	free := make(chan struct{}, w.config.Connections)
	for range w.config.Connections {
		free <- struct{}{}
	}
	w.tell(event{Kind: isReady})

	for ctx.Err() == nil {
		slots := 0
		select {
		case <-free:
			slots = 1
		case <-ctx.Done():
			continue
		}
		for slots < min(10, w.config.Connections) { // SQS gives at most 10
			select {
			case <-free:
				slots++
				continue
			default:
			}
			break
		}
		messages := w.receive(slots)
		for range slots - len(messages) {
			free <- struct{}{}
		}
		for _, m := range messages {
			go func() {
				if !w.handle(ctx, pool, m) {
					w.backOff(ctx)
				}
				free <- struct{}{}
			}()
		}
	}
	for range w.config.Connections {
		<-free
	}
	<-closed
	return nil
}

// open makes the pool; it opens no connection yet.
func (w *worker) open() (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(w.config.DSN)
	if err != nil {
		return nil, errors.New("worker: the DSN it was given can't be read") // the error would quote it
	}
	config.MaxConns = int32(w.config.Connections)
	config.ConnConfig.RuntimeParams["application_name"] = w.config.Application
	if w.config.Address != "" {
		config.ConnConfig.DialFunc = dialFrom(w.config.Address)
	}
	config.ConnConfig.Tracer = loginTracer{failed: func(err error) {
		w.mu.Lock()
		w.failed++
		w.mu.Unlock()
		if n := refusals(err); n > 0 {
			w.tell(event{Kind: isRefused, Count: n})
			return
		}
		w.tell(event{Kind: isFailed, Text: err.Error()})
	}}
	return pgxpool.NewWithConfig(context.Background(), config)
}

// receive is not cut off by a stop: see receiveWait.
func (w *worker) receive(most int) []types.Message {
	ctx, cancel := context.WithTimeout(context.Background(), receiveWait+10*time.Second)
	defer cancel()
	out, err := w.queue.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &w.config.QueueURL, MaxNumberOfMessages: int32(most), WaitTimeSeconds: int32(receiveWait / time.Second),
	})
	if err != nil {
		w.tell(event{Kind: isFailed, Text: err.Error()})
		return nil
	}
	return out.Messages
}

// handle works on one message, or puts it back and returns false.
func (w *worker) handle(stop context.Context, pool *pgxpool.Pool, m types.Message) bool {
	ctx, cancel := context.WithTimeout(context.Background(), w.config.Work+20*time.Second)
	defer cancel()
	if stop.Err() != nil {
		w.putBack(ctx, m)
		return true
	}
	waiting, cancelWaiting := context.WithTimeout(ctx, acquireTimeout)
	defer cancelWaiting()
	conn, err := pool.Acquire(waiting)
	if err != nil { // the tracer has told of it
		w.putBack(ctx, m)
		return false
	}
	// The work holds its connection all the while, as a transaction would.
	_, err = conn.Exec(ctx, "SELECT pg_sleep($1)", w.config.Work.Seconds())
	if err == nil {
		_, err = conn.Exec(ctx, "INSERT INTO "+w.config.Table+" (message) VALUES ($1)", aws.ToString(m.Body))
	}
	conn.Release()
	if err != nil {
		w.tell(event{Kind: isFailed, Text: err.Error()})
		w.putBack(ctx, m)
		return false
	}
	w.mu.Lock()
	w.failed = 0
	w.mu.Unlock()
	if _, err := w.queue.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &w.config.QueueURL, ReceiptHandle: m.ReceiptHandle}); err != nil {
		w.tell(event{Kind: isFailed, Text: err.Error()})
		return true // it comes again when its visibility times out
	}
	w.tell(event{Kind: isDone})
	return true
}

// putBack makes a message visible again at once.
func (w *worker) putBack(ctx context.Context, m types.Message) {
	_, err := w.queue.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &w.config.QueueURL, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0,
	})
	if err != nil {
		w.tell(event{Kind: isFailed, Text: err.Error()})
	}
}

// backOff waits longer the more logins have failed in a row, with jitter.
func (w *worker) backOff(ctx context.Context) {
	w.mu.Lock()
	wait := min(firstBackoff<<min(w.failed/w.config.Connections, 5), longestBackoff)
	w.mu.Unlock()
	select {
	case <-time.After(wait/2 + rand.N(wait)):
	case <-ctx.Done():
	}
}
