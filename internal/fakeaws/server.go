package fakeaws

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// maxRequestBytes bounds a request body: 1 MiB of messages, each byte escaped
// as JSON at worst six times as long, and room for the rest.
const maxRequestBytes = 8 << 20

// Options say what the stand-in pretends to be. The zero value is complete.
type Options struct {
	Region    string // in ARNs; us-east-1 if empty
	AccountID string // in ARNs and queue URLs; 000000000000 if empty

	// PublishingDelay is the time from a minute's end until CloudWatch shows
	// its point; see SetPublishingDelay.
	PublishingDelay time.Duration

	// SampleOffset is when in each minute a queue's levels and age are
	// measured, from 0 (the default, the moment a point is labeled with) up
	// to a minute. AWS does not say.
	SampleOffset time.Duration

	// PageDatapoints is how many points a page of GetMetricData holds at most; 0
	// is as many as AWS allows.
	PageDatapoints int
}

// Server is the stand-in. Its methods may be used from any goroutine.
type Server struct {
	options Options
	began   time.Time

	mu        sync.Mutex
	queues    map[string]*hostedQueue // by name
	lastQueue uint64
	calls     map[string]int
	callers   map[string]map[string]int // by access key

	faults  faults
	metrics metricStore

	lifecycle sync.Mutex
	http      *http.Server // nil while not listening
	served    chan struct{}
	url       string
	network   *http.Transport
	closed    bool
}

// New returns a server that answers in process; [Server.Start] makes it
// listen. It panics for a SampleOffset outside its minute.
func New(o Options) *Server {
	if o.SampleOffset < 0 || o.SampleOffset >= minute {
		panic(fmt.Sprintf("fakeaws: SampleOffset: expected 0 up to less than a minute, found %v", o.SampleOffset))
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.AccountID == "" {
		o.AccountID = "000000000000"
	}
	s := &Server{
		options: o,
		began:   time.Now(),
		queues:  map[string]*hostedQueue{},
		calls:   map[string]int{},
		callers: map[string]map[string]int{},
	}
	s.SetPublishingDelay(o.PublishingDelay)
	return s
}

// now is the wall clock as it was when the server was made plus the time
// since, so that it never goes back.
func (s *Server) now() time.Time {
	return s.began.Add(time.Since(s.began)).Round(0)
}

// Start listens on a loopback address, such as "127.0.0.1:0" for a free port
// ("" means that), and returns the endpoint's URL. After Close it may be
// called again, with the same address if clients shall find it: queues and
// messages are still there.
func (s *Server) Start(address string) (string, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return "", fmt.Errorf("fakeaws: address %q: %w", address, err)
	}
	if !resolved.IP.IsLoopback() {
		return "", fmt.Errorf("fakeaws: address %q: expected a loopback address, for nothing here checks who asks", address)
	}
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	if s.http != nil {
		return "", fmt.Errorf("fakeaws: listening already, on %s", s.url)
	}
	listener, err := net.ListenTCP("tcp", resolved)
	if err != nil {
		return "", fmt.Errorf("fakeaws: %w", err)
	}
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
	served := make(chan struct{})
	s.http, s.served, s.closed = server, served, false
	s.url = "http://" + listener.Addr().String()
	s.network = &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: 90 * time.Second}
	s.metrics.start(s.now)
	go func() {
		defer close(served)
		_ = server.Serve(listener) // always ErrServerClosed, after Close
	}()
	return s.url, nil
}

// URL is the endpoint of the last Start, "" before the first.
func (s *Server) URL() string {
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	return s.url
}

// Close stops answering: requests under way are cut off, new connections are
// refused, and requests in process fail. It may be called twice.
func (s *Server) Close() {
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	s.closed = true
	s.metrics.stop()
	if s.http == nil {
		return
	}
	_ = s.http.Close() // its error is the listener's, which is gone either way
	<-s.served
	s.network.CloseIdleConnections()
	s.http = nil
}

// Config is an SDK configuration for the listening server, with credentials
// it accepts. It panics before the first Start.
func (s *Server) Config() aws.Config {
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	if s.url == "" {
		panic("fakeaws: Config: expected a server that was started, found one that never was; InProcess needs no Start")
	}
	return s.config(s.url, s.network)
}

// InProcess is an SDK configuration that reaches the server without a
// network: for testing/synctest, where a goroutine that waits for a socket
// would keep time from passing.
func (s *Server) InProcess() aws.Config {
	return s.config("http://fakeaws.invalid", inProcess{s})
}

func (s *Server) config(endpoint string, transport http.RoundTripper) aws.Config {
	return aws.Config{
		Region:       s.options.Region,
		BaseEndpoint: aws.String(endpoint),
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
		HTTPClient:   &http.Client{Transport: transport},
	}
}

// Calls returns how many requests each operation got since the server was
// made, those that failed included, by the name of the operation.
func (s *Server) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// CallsBy is Calls for the requests that were signed with an access key. Nobody
// checks the signature: it tells who asks.
func (s *Server) CallsBy(accessKeyID string) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.callers[accessKeyID])
}

// count notes a request. The caller holds mu.
func (s *Server) count(operation, accessKeyID string) {
	s.calls[operation]++
	if s.callers[accessKeyID] == nil {
		s.callers[accessKeyID] = map[string]int{}
	}
	s.callers[accessKeyID][operation]++
}

// signer is the access key that a request was signed with, "" where it wasn't.
func signer(r *http.Request) string {
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(credential, "/")
	return key
}

// call is a request beside its body: whether the client still waits, and the
// host it called, which queue URLs name.
type call struct {
	context.Context
	host string
}

// operation answers one request, whose body decode reads.
type operation func(s *Server, c call, decode func(into any) error) (any, error)

// handle makes an operation of a function on its own request structure.
func handle[I, O any](answer func(*Server, call, *I) (O, error)) operation {
	return func(s *Server, c call, decode func(any) error) (any, error) {
		var in I
		if err := decode(&in); err != nil {
			return nil, errSerialization(err)
		}
		return answer(s, c, &in)
	}
}

// ServeHTTP answers one request of either service in either protocol.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protocol, target := route(r)
	_, name, _ := strings.Cut(target, ".")
	answer, known := operations[target]
	if !known {
		protocol.writeError(w, errUnknownOperation(target))
		return
	}
	// The body first: only then does net/http notice a client that goes away.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	if err != nil {
		protocol.writeError(w, errSerialization(err))
		return
	}
	s.mu.Lock()
	s.count(name, signer(r))
	s.mu.Unlock()
	if failure := s.faults.meet(r.Context(), name); failure != nil {
		protocol.writeError(w, failure)
		return
	}
	result, err := answer(s, call{r.Context(), r.Host}, func(into any) error { return protocol.decode(body, into) })
	if err != nil {
		protocol.writeError(w, err)
		return
	}
	protocol.writeResult(w, result)
}

var operations = map[string]operation{
	"AmazonSQS.CreateQueue":                  handle((*Server).createQueue),
	"AmazonSQS.DeleteQueue":                  handle((*Server).deleteQueue),
	"AmazonSQS.GetQueueUrl":                  handle((*Server).getQueueURL),
	"AmazonSQS.GetQueueAttributes":           handle((*Server).getQueueAttributes),
	"AmazonSQS.SetQueueAttributes":           handle((*Server).setQueueAttributes),
	"AmazonSQS.PurgeQueue":                   handle((*Server).purgeQueue),
	"AmazonSQS.SendMessage":                  handle((*Server).sendMessage),
	"AmazonSQS.SendMessageBatch":             handle((*Server).sendMessageBatch),
	"AmazonSQS.ReceiveMessage":               handle((*Server).receiveMessage),
	"AmazonSQS.DeleteMessage":                handle((*Server).deleteMessage),
	"AmazonSQS.DeleteMessageBatch":           handle((*Server).deleteMessageBatch),
	"AmazonSQS.ChangeMessageVisibility":      handle((*Server).changeMessageVisibility),
	"AmazonSQS.ChangeMessageVisibilityBatch": handle((*Server).changeMessageVisibilityBatch),

	"GraniteServiceVersion20100801.GetMetricData": handle((*Server).getMetricData),
}
