package serve

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/jackc/pgx/v5"
	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/keda-headroom/headroom/internal/fakeaws"
	"github.com/keda-headroom/headroom/internal/pgserver"
	"github.com/keda-headroom/headroom/internal/pgserver/pgtest"
	"github.com/keda-headroom/headroom/internal/steadyport"
	"github.com/keda-headroom/headroom/internal/tcpforward"
	"github.com/keda-headroom/headroom/metrics"
)

// within is how long anything that has to happen may take.
const within = 2 * time.Minute

var orders = metrics.ID{Namespace: "shop", Name: "order-workers"}

// output is a log that can be read while it is written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// replace writes a file so that nobody reads half of it.
func replace(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, log *output, what string, is func() (string, bool)) {
	t.Helper()
	deadline := time.After(within)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		found, ok := is()
		if ok {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s did not come about within %s: last found %s\n%s", what, within, found, log)
		case <-again.C:
		}
	}
}

// running is a service that a test started.
type running struct {
	Addresses
	log  *output
	stop func() error
}

func start(t *testing.T, options Options) running {
	t.Helper()
	r := running{log: &output{}}
	options.GRPCAddress, options.HTTPAddress = "127.0.0.1:0", "127.0.0.1:0"
	options.Log, options.LogFormat = r.log, "json"
	ready, done := make(chan Addresses, 1), make(chan error, 1)
	options.Ready = func(a Addresses) { ready <- a }
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- Run(ctx, options) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = r.stop() })
	select {
	case r.Addresses = <-ready:
	case err := <-done:
		t.Fatalf("it ended with %v\n%s", err, r.log)
	case <-time.After(within):
		t.Fatalf("it is not ready within %s\n%s", within, r.log)
	}
	return r
}

func (r running) get(t *testing.T, path string) (code int, body string) {
	t.Helper()
	return r.ask(t, http.MethodGet, path)
}

func (r running) post(t *testing.T, path string) (code int, body string) {
	t.Helper()
	return r.ask(t, http.MethodPost, path)
}

func (r running) ask(t *testing.T, method, path string) (code int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.HTTP+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(all)
}

func (r running) client(t *testing.T) pb.ExternalScalerClient {
	t.Helper()
	connection, err := grpc.NewClient(r.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return pb.NewExternalScalerClient(connection)
}

func ask(id metrics.ID) *pb.ScaledObjectRef {
	return &pb.ScaledObjectRef{Namespace: id.Namespace, Name: id.Name, ScalerMetadata: map[string]string{"workload": id.Name}}
}

// shop is a real queue, a real database behind a name, and a service that governs
// workers of both: 20 connections for anybody, 2 in reserve, one of them ours.
type shop struct {
	running
	t        *testing.T
	postgres *pgserver.Server
	name     *tcpforward.Forwarder // what the service knows the database by
	aws      *fakeaws.Server
	sqs      *awssqs.Client
	queue    *string
	policy   string // its path
	terms    terms
	fleets   string // its path
	workers  []*worker
	hired    int
	options  Options
	keda     pb.ExternalScalerClient
}

// terms are what the policies of shops differ in.
type terms struct {
	mode, connectionsPerPod     string
	othersWindow, maxReadingAge string
	staleAfter, errorAfter      string
	pollInterval                string // of the queue; "" is 100ms
	messagesPerPod              int    // 0 is 10
	objective                   string // further fields of sqs, as YAML
	published                   fakeaws.Options
	databases                   string // further ones, as YAML
}

// patient terms outlast any pause of a slow machine.
var patient = terms{
	mode: "Target", connectionsPerPod: "3", othersWindow: "3s", maxReadingAge: "1m", staleAfter: "1m", errorAfter: "5m",
}

// openShop returns a shop whose service runs.
func openShop(t *testing.T) *shop {
	s := newShop(t, patient)
	s.open()
	return s
}

// newShop returns a shop whose service does not run yet.
func newShop(t *testing.T, on terms) *shop {
	s := &shop{t: t, aws: fakeaws.New(on.published), terms: on}
	s.postgres = startDatabase(t, "23")
	s.name = nameFor(t, s.postgres)
	port, err := steadyport.Port() // it is left for a while, and must not be taken
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.aws.Start(net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.aws.Close)
	config := s.aws.Config()
	s.sqs = awssqs.NewFromConfig(config)
	name := queueName
	created, err := s.sqs.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		t.Fatal(err)
	}
	s.queue = created.QueueUrl

	directory := t.TempDir()
	s.policy, s.fleets = filepath.Join(directory, "policy.yaml"), filepath.Join(directory, "fleets.json")
	replace(t, filepath.Join(directory, "dsn"), []byte(pgserver.DSN(s.name.Addr(), "monitor", "postgres")))
	s.edit(on.connectionsPerPod)
	s.publish()
	s.options = Defaults()
	s.options.Policies, s.options.Fleets, s.options.AWS = []string{s.policy}, s.fleets, &config
	s.options.FleetInterval, s.options.Epoch = 100*time.Millisecond, term
	s.options.RecordingDir = filepath.Join(directory, "recording")
	return s
}

// queueName is what the shop's queue is called.
const queueName = "orders"

// startDatabase starts a server for this many sessions, 3 of them superusers'.
func startDatabase(t *testing.T, maxConnections string) *pgserver.Server {
	server := pgtest.Start(t, map[string]string{"max_connections": maxConnections, "superuser_reserved_connections": "3"})
	pgtest.Exec(t, server, "CREATE ROLE monitor LOGIN IN ROLE pg_monitor", "CREATE ROLE worker LOGIN", "CREATE ROLE app LOGIN")
	return server
}

// nameFor returns a name that leads to the server.
func nameFor(t *testing.T, server *pgserver.Server) *tcpforward.Forwarder {
	name, err := tcpforward.Listen(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = name.Close() })
	return name
}

// open starts the service.
func (s *shop) open() {
	s.t.Helper()
	s.running = start(s.t, s.options)
	s.keda = s.client(s.t)
}

// edit changes the policy.
func (s *shop) edit(connectionsPerPod string) {
	s.change(func(on *terms) { on.connectionsPerPod = connectionsPerPod })
}

// change writes the policy anew.
func (s *shop) change(how func(*terms)) {
	how(&s.terms)
	replace(s.t, s.policy, fmt.Appendf(nil, `apiVersion: keda-headroom.github.io/v1alpha1
kind: Policy
metadata: {namespace: shop, name: orders}
databases:
- name: orders-db
  postgresql: {dsn: {file: %s}}
  reserve: 2
  othersWindow: %s
  pollInterval: 100ms
  maxReadingAge: %s
%sworkloads:
- name: order-workers
  scaledObjectRef: {name: order-workers}
  mode: %s
  databaseRefs: [{name: orders-db, user: worker, connectionsPerPod: %s}]
  sqs: {queueURL: %q, messagesPerPod: %d, pollInterval: %s, staleAfter: %s, errorAfter: %s%s}
  scaleDownStabilization: 0s
`, filepath.Join(filepath.Dir(s.policy), "dsn"), s.terms.othersWindow, s.terms.maxReadingAge, s.terms.databases,
		s.terms.mode, s.terms.connectionsPerPod, *s.queue, cmp.Or(s.terms.messagesPerPod, 10), cmp.Or(s.terms.pollInterval, "100ms"), s.terms.staleAfter, s.terms.errorAfter, s.terms.objective))
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

// tells waits until KEDA is told a value.
func (s *shop) tells(what string, want float64) {
	s.t.Helper()
	eventually(s.t, s.log, fmt.Sprintf("%s: a value of %v", what, want), func() (string, bool) {
		answer, err := s.keda.GetMetrics(s.t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ask(orders)})
		if err != nil {
			return err.Error(), false
		}
		return answer.String(), len(answer.GetMetricValues()) == 1 && answer.GetMetricValues()[0].GetMetricValueFloat() == want
	})
}

// shows waits until /metrics has a line.
func (s *shop) shows(line string) {
	s.t.Helper()
	eventually(s.t, s.log, "a metric "+line, func() (string, bool) {
		_, all := s.get(s.t, "/metrics")
		return all, strings.Contains("\n"+all, "\n"+line+"\n")
	})
}

// hold opens connections of a role; what it returns closes them.
func (s *shop) hold(user string, n int) (release func()) {
	s.t.Helper()
	var held []*pgx.Conn
	for range n {
		c, err := pgx.Connect(s.t.Context(), s.postgres.DSN(user, "postgres"))
		if err != nil {
			s.t.Fatal(err)
		}
		held = append(held, c)
	}
	return func() {
		for _, c := range held {
			if err := c.Close(s.t.Context()); err != nil {
				s.t.Error(err)
			}
		}
	}
}

func TestFromQueueAndDatabaseToKEDA(t *testing.T) {
	s := openShop(t)

	s.tells("an empty queue", 0)
	activity, err := s.keda.StreamIsActive(t.Context(), ask(orders))
	if err != nil {
		t.Fatal(err)
	}
	pushed := func(want bool) {
		t.Helper()
		answer, err := activity.Recv()
		if err != nil || answer.GetResult() != want {
			t.Fatalf("pushed %v, %v, want %v\n%s", answer, err, want, s.log)
		}
	}
	pushed(false)

	s.send(30)
	s.tells("30 messages at 10 a pod", 3)
	pushed(true)
	s.send(200)
	// 20 connections, less 2 in reserve, less ours: 17 carry 5 pods of 3.
	s.tells("230 messages, and a database that carries less", 5)
	s.shows(`headroom_workload_limited{namespace="shop",reason="ConnectionBudget",workload="order-workers"} 1`)
	s.shows(`headroom_database_connections_budget{constraint="server",database="orders-db",database_namespace="shop"} 17`)
	s.shows(`headroom_workload_demand_replicas{namespace="shop",source="backlog",workload="order-workers"} 23`)

	release := s.hold("app", 6)
	s.tells("another application takes 6", 3)
	release()
	s.tells("and gives them back", 5)

	// A bad edit changes nothing, and is shown; a good one is in force.
	s.edit("0")
	s.shows(`headroom_policy_valid{name="orders",namespace="shop"} 0`)
	s.tells("a bad edit", 5)
	if !strings.Contains(s.log.String(), "workloads[0].databaseRefs[0].connectionsPerPod") {
		t.Errorf("the log does not say what is wrong:\n%s", s.log)
	}
	s.edit("8")
	s.tells("a good edit", 2)
	s.shows(`headroom_policy_valid{name="orders",namespace="shop"} 1`)

	for path, want := range map[string]string{"/livez": "alive", "/readyz": "ready", "/v1/plans": `"target":2`} {
		if code, body := s.get(t, path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: got %d %s", path, code, body)
		}
	}
	if code, body := s.post(t, "/v1/queues/poke?workload=shop/order-workers"); code != http.StatusAccepted || !strings.Contains(body, `"read":"now"`) {
		t.Errorf("poked: got %d %s", code, body)
	}
	if code, _ := s.get(t, "/v1/queues/poke?workload=shop/order-workers"); code != http.StatusMethodNotAllowed {
		t.Errorf("a poke that only looks: got %d", code)
	}
	_, metricsText := s.get(t, "/metrics")
	for _, part := range []string{
		`headroom_reads_total{result="ok",source="postgresql"}`, `headroom_reads_total{result="ok",source="fleets"}`,
		`headroom_aws_requests_total{operation="GetQueueAttributes",result="ok",service="sqs"}`, `headroom_queue_pokes_total{result="now"} 1`, "headroom_build_info{", "go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(metricsText, part) {
			t.Errorf("/metrics lacks %s", part)
		}
	}

	if err := s.stop(); err != nil {
		t.Errorf("it ended with %v\n%s", err, s.log)
	}
	if _, err := activity.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v, want io.EOF", err)
	}
	if left := ours(); left != "" {
		t.Errorf("still running:\n%s", left)
	}
	if entries, err := os.ReadDir(filepath.Join(filepath.Dir(s.policy), "recording")); err != nil || len(entries) == 0 {
		t.Errorf("nothing was recorded: %v, %v", entries, err)
	}
	checkLog(t, s.log.String(), s.Addresses)
}

// A queue that is read each ten minutes: whoever has sent messages says so, and KEDA
// is pushed the activation.
func TestAPokeReachesKEDA(t *testing.T) {
	slow := patient
	slow.pollInterval, slow.staleAfter, slow.errorAfter = "10m", "1h", "24h"
	s := newShop(t, slow)
	s.open()
	s.tells("an empty queue", 0)
	s.sees("others were watched for long enough", func(p seen) bool { return p.server().Limit > 0 && p.database.Starting == "" })
	activity, err := s.keda.StreamIsActive(t.Context(), ask(orders))
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := activity.Recv(); err != nil || answer.GetResult() {
		t.Fatalf("pushed %v, %v", answer, err)
	}
	s.send(30)
	began := time.Now()
	if code, body := s.post(t, "/v1/queues/poke?workload=shop/order-workers"); code != http.StatusAccepted {
		t.Fatalf("poked: got %d %s", code, body)
	}
	if answer, err := activity.Recv(); err != nil || !answer.GetResult() {
		t.Fatalf("pushed %v, %v\n%s", answer, err, s.log)
	}
	t.Logf("from the poke to the push: %s", time.Since(began))
	s.tells("30 messages at 10 a pod", 3)
	if calls := s.aws.Calls()["GetQueueAttributes"]; calls != 2 {
		t.Errorf("%d calls, want one at the start and one for the poke", calls)
	}
}

// ours returns the stacks of goroutines that run something of the service.
func ours() string {
	stacks := make([]byte, 16<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var left []string
	for _, stack := range strings.Split(string(stacks), "\n\n") {
		for _, of := range []string{"headroom/scaler", "headroom/metrics", "headroom/cmd/headroom/serve.Run"} {
			if strings.Contains(stack, of) {
				left = append(left, stack)
				break
			}
		}
	}
	return strings.Join(left, "\n\n")
}

// checkLog holds the log against what scripts and people look for in it.
func checkLog(t *testing.T, log string, at Addresses) {
	t.Helper()
	changes, served := 0, false
	for line := range strings.Lines(log) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("not a line of JSON: %s", line)
			continue
		}
		switch entry["msg"] {
		case "serving":
			served = entry["grpc"] == at.GRPC && entry["http"] == at.HTTP
		case "target changed":
			changes++
			for _, key := range []string{"workload", "mode", "from", "to", "reason", "sentence"} {
				if _, ok := entry[key]; !ok {
					t.Errorf("no %s in %s", key, line)
				}
			}
		}
	}
	if !served || changes < 5 {
		t.Errorf("the log has serving: %v, and %d changed targets:\n%s", served, changes, log)
	}
}

func TestNoPolicyIsRight(t *testing.T) {
	directory := t.TempDir()
	options := Defaults()
	options.Policies, options.Fleets = []string{filepath.Join(directory, "policy.yaml")}, filepath.Join(directory, "fleets.json")
	r := start(t, options)
	if code, body := r.get(t, "/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("ready without a policy: %d %s", code, body)
	}
	if code, _ := r.get(t, "/livez"); code != http.StatusOK {
		t.Errorf("not alive: %d", code)
	}
	if _, err := r.client(t).GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ask(orders)}); err == nil || !strings.Contains(err.Error(), "no plan yet") {
		t.Errorf("got %v", err)
	}
	// The HPA keeps its metric all the same.
	if _, err := r.client(t).GetMetricSpec(t.Context(), ask(orders)); err != nil {
		t.Error(err)
	}
	replace(t, options.Policies[0], []byte(`apiVersion: keda-headroom.github.io/v1alpha1
kind: Policy
databases: [{name: orders-db, postgresql: {dsn: {env: NO_SUCH_VARIABLE}}}]
`))
	eventually(t, r.log, "readiness", func() (string, bool) {
		code, body := r.get(t, "/readyz")
		return body, code == http.StatusOK
	})
	if err := r.stop(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestAnAddressThatIsTaken(t *testing.T) {
	directory := t.TempDir()
	options := Defaults()
	options.Policies, options.Fleets = []string{directory}, filepath.Join(directory, "fleets.json")
	first := start(t, options)
	for _, taken := range []string{first.GRPC, first.HTTP} {
		again := options
		again.Log = &output{}
		again.GRPCAddress, again.HTTPAddress = "127.0.0.1:0", taken
		err := Run(t.Context(), again)
		if err == nil || !strings.Contains(err.Error(), "--http-address") || !strings.Contains(err.Error(), taken) {
			t.Errorf("got %v", err)
		}
		again.GRPCAddress, again.HTTPAddress = taken, "127.0.0.1:0"
		err = Run(t.Context(), again)
		if err == nil || !strings.Contains(err.Error(), "--grpc-address") || !strings.Contains(err.Error(), taken) {
			t.Errorf("got %v", err)
		}
	}
}

func TestOptionsThatCanNotBeRight(t *testing.T) {
	right := Defaults()
	right.Policies, right.Fleets = []string{"policy.yaml"}, "fleets.json"
	if err := right.Validate(); err != nil {
		t.Fatal(err)
	}
	for words, wrong := range map[string]func(*Options){
		"--policy":                func(o *Options) { o.Policies = nil },
		"--policy: ":              func(o *Options) { o.Policies = []string{""} },
		"--fleets: expected none": func(o *Options) { o.Cluster.Context = "c" },
		"--request-timeout":       func(o *Options) { o.Cluster.RequestTimeout = -1 },
		"--fleets: ":              func(o *Options) { o.Fleets = "ftp://example.com/fleets" },
		"--grpc-address":          func(o *Options) { o.GRPCAddress = "6000" },
		"--http-address":          func(o *Options) { o.HTTPAddress = "" },
		"--recording-max-bytes":   func(o *Options) { o.RecordingMaxBytes = -1 },
		"--max-connection-age":    func(o *Options) { o.MaxConnectionAge = time.Millisecond },
		"--shutdown-timeout":      func(o *Options) { o.ShutdownTimeout = -1 },
		"--log-format":            func(o *Options) { o.LogFormat = "xml" },
	} {
		options := right
		wrong(&options)
		if err := options.Validate(); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: got %v", words, err)
		}
	}
}
