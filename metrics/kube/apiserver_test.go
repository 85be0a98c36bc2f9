package kube

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/keda-headroom/headroom/internal/tcpforward"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/fleet"
)

// Paths of what is listed.
const (
	pods          = "/api/v1/pods"
	deployments   = "/apis/apps/v1/deployments"
	statefulSets  = "/apis/apps/v1/statefulsets"
	replicaSets   = "/apis/apps/v1/replicasets"
	revisions     = "/apis/apps/v1/controllerrevisions"
	jobs          = "/apis/batch/v1/jobs"
	hpas          = "/apis/autoscaling/v2/horizontalpodautoscalers"
	scaledObjects = "/apis/keda.sh/v1alpha1/scaledobjects"
	scaledJobs    = "/apis/keda.sh/v1alpha1/scaledjobs"
)

var kinds = map[string]string{
	pods: "v1 Pod", deployments: "apps/v1 Deployment", statefulSets: "apps/v1 StatefulSet", replicaSets: "apps/v1 ReplicaSet",
	revisions: "apps/v1 ControllerRevision", jobs: "batch/v1 Job", hpas: "autoscaling/v2 HorizontalPodAutoscaler",
	scaledObjects: "keda.sh/v1alpha1 ScaledObject", scaledJobs: "keda.sh/v1alpha1 ScaledJob",
}

type event struct {
	version int
	path    string
	kind    string // ADDED, MODIFIED, DELETED
	object  map[string]any
}

// apiServer lists and watches like an API server, over HTTP/2 and TLS, behind a
// network that a test may cut.
type apiServer struct {
	t       *testing.T
	server  *httptest.Server
	network *tcpforward.Forwarder

	mu      sync.Mutex
	objects map[string]map[string]map[string]any // by path and namespace/name
	events  []event
	oldest  int           // versions before it are gone
	moved   chan struct{} // closed at each event
	refused map[string]int
	ready   int // status of /readyz
	plain   map[string]string
	asked   map[string]int // requests by method, path and whether they watch
	cut     bool           // watches begin with a list of their own only by listing first
}

func newAPIServer(t *testing.T) *apiServer {
	t.Helper()
	s := &apiServer{
		t: t, objects: map[string]map[string]map[string]any{}, moved: make(chan struct{}), refused: map[string]int{},
		ready: http.StatusOK, plain: map[string]string{}, asked: map[string]int{},
	}
	s.server = httptest.NewUnstartedServer(s)
	s.server.EnableHTTP2 = true
	s.server.Config.ErrorLog = log.New(io.Discard, "", 0) // connections are cut on purpose
	s.server.StartTLS()
	var err error
	if s.network, err = tcpforward.Listen(s.server.Listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.network.Close(); err != nil {
			t.Error(err)
		}
		s.server.CloseClientConnections()
		s.server.Close()
	})
	return s
}

func (s *apiServer) config() *rest.Config {
	certificate := s.server.Certificate().Raw
	return &rest.Config{Host: "https://" + s.network.Addr(), TLSClientConfig: rest.TLSClientConfig{CAData: pemOf(certificate)}}
}

// unplug cuts all connections, and lets none in until plug.
func (s *apiServer) unplug() {
	s.t.Helper()
	if err := s.network.Refuse(); err != nil {
		s.t.Fatal(err)
	}
	s.network.DropConnections()
}

func (s *apiServer) plug() {
	s.t.Helper()
	if err := s.network.SetTarget(s.server.Listener.Addr().String()); err != nil {
		s.t.Fatal(err)
	}
}

// set creates or changes objects, given as JSON without apiVersion and kind.
func (s *apiServer) set(path string, objects ...string) {
	s.t.Helper()
	for _, text := range objects {
		var object map[string]any
		if err := json.Unmarshal([]byte(text), &object); err != nil {
			s.t.Fatalf("%v in %s", err, text)
		}
		object["apiVersion"], object["kind"], _ = strings.Cut(kinds[path], " ")
		s.mu.Lock()
		key := keyOf(object)
		kind := "ADDED"
		if _, found := s.objects[path][key]; found {
			kind = "MODIFIED"
		}
		if s.objects[path] == nil {
			s.objects[path] = map[string]map[string]any{}
		}
		s.objects[path][key] = object
		s.happened(path, kind, object)
		s.mu.Unlock()
	}
}

func (s *apiServer) remove(path, key string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	object := s.objects[path][key]
	if object == nil {
		s.t.Fatalf("no %s in %s", key, path)
	}
	delete(s.objects[path], key)
	s.happened(path, "DELETED", object)
}

// change changes what the server does.
func (s *apiServer) change(how func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	how()
}

func (s *apiServer) count(request string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[request]
}

func (s *apiServer) happened(path, kind string, object map[string]any) {
	version := len(s.events) + 1
	object["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(version)
	copied := map[string]any{}
	text, _ := json.Marshal(object)
	_ = json.Unmarshal(text, &copied)
	s.events = append(s.events, event{version, path, kind, copied})
	close(s.moved)
	s.moved = make(chan struct{})
}

func keyOf(object map[string]any) string {
	about := object["metadata"].(map[string]any)
	return fmt.Sprint(about["namespace"], "/", about["name"])
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	watching := query.Get("watch") == "1" || query.Get("watch") == "true"
	what := r.Method + " " + r.URL.Path
	if watching {
		what = "WATCH " + r.URL.Path
	}
	s.mu.Lock()
	s.asked[what]++
	refused, ready, plain := s.refused[r.URL.Path], s.ready, s.plain[r.URL.Path]
	_, known := kinds[r.URL.Path]
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case refused != 0:
		fail(w, refused, fmt.Sprintf("refused %s for the test", r.URL.Path))
	case r.URL.Path == "/readyz":
		w.WriteHeader(ready)
		fmt.Fprintln(w, "[-]etcd failed")
	case plain != "":
		fmt.Fprint(w, plain)
	case !known:
		fail(w, http.StatusNotFound, "the server could not find the requested resource")
	case watching:
		s.watch(w, r)
	default:
		s.list(w, r)
	}
}

func fail(w http.ResponseWriter, status int, message string) {
	reason := map[int]string{403: "Forbidden", 404: "NotFound", 410: "Expired", 422: "Invalid"}[status]
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"apiVersion": "v1", "kind": "Status", "status": "Failure", "message": message, "reason": reason, "code": status,
	})
}

func (s *apiServer) list(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	version, items := len(s.events), []any{}
	for _, object := range s.objects[r.URL.Path] {
		items = append(items, object)
	}
	apiVersion, kind, _ := strings.Cut(kinds[r.URL.Path], " ")
	text, err := json.Marshal(map[string]any{
		"apiVersion": apiVersion, "kind": kind + "List", "metadata": map[string]any{"resourceVersion": strconv.Itoa(version)}, "items": items,
	})
	s.mu.Unlock()
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(text)
}

func (s *apiServer) watch(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	from, _ := strconv.Atoi(query.Get("resourceVersion"))
	out := json.NewEncoder(w)
	send := func(kind string, object any) { _ = out.Encode(map[string]any{"type": kind, "object": object}) }
	s.mu.Lock()
	if query.Get("sendInitialEvents") == "true" {
		if s.cut {
			s.mu.Unlock()
			fail(w, http.StatusUnprocessableEntity, "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
			return
		}
		from = len(s.events)
		for _, object := range s.objects[r.URL.Path] {
			send("ADDED", object)
		}
		apiVersion, kind, _ := strings.Cut(kinds[r.URL.Path], " ")
		send("BOOKMARK", map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{
			"resourceVersion": strconv.Itoa(from), "annotations": map[string]any{"k8s.io/initial-events-end": "true"},
		}})
	} else if from < s.oldest {
		s.mu.Unlock()
		fail(w, http.StatusGone, "too old resource version")
		return
	}
	for {
		for ; from < len(s.events); from++ {
			if e := s.events[from]; e.path == r.URL.Path {
				send(e.kind, e.object)
			}
		}
		moved := s.moved
		s.mu.Unlock()
		w.(http.Flusher).Flush()
		select {
		case <-moved:
		case <-r.Context().Done():
			return
		}
		s.mu.Lock()
	}
}

// start runs a Cluster until the test ends.
func (s *apiServer) start(options Options) *Cluster {
	s.t.Helper()
	return s.startWith(options, func(*rest.Config) {})
}

// startWith lets adjust how the server is reached.
func (s *apiServer) startWith(options Options, adjust func(*rest.Config)) *Cluster {
	s.t.Helper()
	options.Config = s.config()
	adjust(options.Config)
	c, err := New(options)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	s.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
	return c
}

// patience bounds every wait: the machine may be busy with other things.
const patience = time.Minute

// eventually reads until the state is as wanted. It asks again when told of a
// change, and now and then.
func eventually(t *testing.T, c *Cluster, source fleet.Source, what string, wanted func(fleet.State, error) bool) fleet.State {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		state, err := source.Read(ctx)
		cancel()
		if wanted(state, err) {
			return state
		}
		select {
		case <-c.Changed():
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("%s: not after %s; the last reading was %+v, %v", what, patience, state, err)
		}
	}
}

// orders is the workload of most tests.
var orders = metrics.ID{Namespace: "shop", Name: "order-workers"}

func ordersByScaledObject() []Reference {
	return []Reference{{Workload: orders, ScaledObject: "order-workers"}}
}

// names returns those of a fleet's pods, in order.
func names(f metrics.Fleet) []string {
	var out []string
	for _, p := range f.Pods {
		out = append(out, p.Name)
	}
	return out
}

func podsAre(f metrics.Fleet, want ...string) bool { return slices.Equal(names(f), want) }

func pemOf(certificate []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
}
