// Package fakeapi is a Kubernetes API server for tests of commands: it serves the
// objects it is given, in pages, patches them, and notes what it was asked.
package fakeapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// Server is the API server. Change its fields before it is asked.
type Server struct {
	// URL is where it is.
	URL string
	// Absent are resources that it does not have ("keda.sh/scaledobjects"), and
	// Forbidden those that nobody may read.
	Absent, Forbidden []string
	// ReadOnly are resources that nobody may change.
	ReadOnly []string
	// BeforePatch is called before a patch is applied, with what it is for: whoever
	// else writes at the same time. It may call Change.
	BeforePatch func(Request)
	// Proxied answers what is asked of Services; nil answers 404.
	Proxied http.Handler

	mu      sync.Mutex
	objects map[string][]map[string]any // by group and resource
	asked   []Request
}

// Request is one that was asked.
type Request struct {
	// Verb is what RBAC calls it: list, get, or the method of what changes things.
	Verb string
	// Resource is "GROUP/RESOURCE", Name and Namespace "" where there are none.
	Resource, Namespace, Name string
}

// Start starts a server that ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{objects: map[string][]map[string]any{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// Kubeconfig writes a file that leads to the server, and returns its path.
func (s *Server) Kubeconfig(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: %q}}]
contexts: [{name: test, context: {cluster: test, user: test, namespace: shop}}]
users: [{name: test, user: {}}]
`, s.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var resources = map[string]string{
	"ConfigMap": "configmaps", "Secret": "secrets", "Service": "services", "Deployment": "deployments", "StatefulSet": "statefulsets",
	"DaemonSet": "daemonsets", "HorizontalPodAutoscaler": "horizontalpodautoscalers", "ScaledObject": "scaledobjects", "ScaledJob": "scaledjobs",
	"Pod": "pods", "ReplicaSet": "replicasets", "Job": "jobs", "CronJob": "cronjobs", "Rollout": "rollouts", "PodDisruptionBudget": "poddisruptionbudgets",
	"MutatingAdmissionPolicy": "mutatingadmissionpolicies", "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings",
}

// Add adds the objects of YAML documents. Policies are left out: they reach a
// cluster inside ConfigMaps.
func (s *Server) Add(t testing.TB, documents string) {
	t.Helper()
	for _, text := range strings.Split(documents, "\n---\n") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(text), &object); err != nil {
			t.Fatal(err)
		}
		s.add(t, object)
	}
}

func (s *Server) add(t testing.TB, object map[string]any) {
	t.Helper()
	kind, _ := object["kind"].(string)
	if items, list := object["items"].([]any); list {
		for _, item := range items {
			one, ok := item.(map[string]any)
			if !ok {
				t.Fatalf("expected an object in a list, found %T", item)
			}
			s.add(t, one)
		}
		return
	}
	apiVersion, _ := object["apiVersion"].(string)
	resource, known := resources[kind]
	if !known {
		return
	}
	group, _, versioned := strings.Cut(apiVersion, "/")
	if !versioned {
		group = ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := group + "/" + resource
	s.objects[key] = append(s.objects[key], object)
}

// Asked returns what was asked so far.
func (s *Server) Asked() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func field(object map[string]any, key string) string {
	meta, _ := object["metadata"].(map[string]any)
	text, _ := meta[key].(string)
	return text
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	group, rest := "", parts
	switch {
	case len(parts) > 2 && parts[0] == "api":
		rest = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		group, rest = parts[1], parts[3:]
	default:
		fail(w, http.StatusNotFound, "NotFound")
		return
	}
	request := Request{Verb: strings.ToLower(r.Method)}
	if len(rest) > 2 && rest[0] == "namespaces" {
		request.Namespace, rest = rest[1], rest[2:]
	}
	request.Resource = group + "/" + rest[0]
	if len(rest) > 1 {
		request.Name = rest[1]
	} else if r.Method == http.MethodGet {
		request.Verb = "list"
	}
	s.mu.Lock()
	s.asked = append(s.asked, request)
	objects := s.objects[request.Resource]
	s.mu.Unlock()
	switch {
	case slices.Contains(s.Forbidden, request.Resource):
		fail(w, http.StatusForbidden, "Forbidden")
	case slices.Contains(s.Absent, request.Resource):
		fail(w, http.StatusNotFound, "NotFound")
	case r.Method == http.MethodPatch:
		s.patch(w, r, request)
	case r.Method != http.MethodGet:
		fail(w, http.StatusMethodNotAllowed, "MethodNotAllowed")
	case len(rest) > 2 && rest[2] == "proxy" && s.Proxied != nil:
		http.StripPrefix(strings.Join(append([]string{""}, parts[:len(parts)-len(rest)+3]...), "/"), s.Proxied).ServeHTTP(w, r)
	case request.Name != "":
		for _, o := range objects {
			if field(o, "namespace") == request.Namespace && field(o, "name") == request.Name {
				write(w, http.StatusOK, o)
				return
			}
		}
		fail(w, http.StatusNotFound, "NotFound")
	default:
		list(w, r, request, objects)
	}
}

// list answers a page.
func list(w http.ResponseWriter, r *http.Request, request Request, objects []map[string]any) {
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		fail(w, http.StatusBadRequest, "BadRequest")
		return
	}
	matching := []map[string]any{}
	for _, o := range objects {
		set := labels.Set{}
		if meta, ok := o["metadata"].(map[string]any); ok {
			given, _ := meta["labels"].(map[string]any)
			for key, value := range given {
				set[key] = fmt.Sprint(value)
			}
		}
		if (request.Namespace == "" || field(o, "namespace") == request.Namespace) && selector.Matches(set) {
			matching = append(matching, o)
		}
	}
	start, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	if limit == 0 {
		limit = len(matching)
	}
	end := min(len(matching), start+limit)
	next := ""
	if end < len(matching) {
		next = strconv.Itoa(end)
	}
	apiVersion, kind := listOf(r, request.Resource)
	write(w, http.StatusOK, map[string]any{
		"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"resourceVersion": "1", "continue": next}, "items": matching[min(start, end):end],
	})
}

// listOf returns how a list of a resource is called. Who asks for metadata alone gets
// the objects as they are, under the name of that.
func listOf(r *http.Request, resource string) (apiVersion, kind string) {
	if strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadataList") {
		return "meta.k8s.io/v1", "PartialObjectMetadataList"
	}
	_, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/") // after api or apis
	parts := strings.Split(path, "/")
	apiVersion = parts[0]
	if !strings.HasPrefix(resource, "/") {
		apiVersion += "/" + parts[1]
	}
	for one, name := range resources {
		if strings.HasSuffix(resource, "/"+name) {
			return apiVersion, one + "List"
		}
	}
	return "v1", "List"
}

func fail(w http.ResponseWriter, code int, reason string) {
	write(w, code, map[string]any{
		"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": reason, "code": code, "message": strings.ToLower(reason) + " by the test's API server",
	})
}

func write(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client went away; nobody is left to tell
}
