package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/keda-headroom/headroom/metrics/kube"
)

// apiserver keeps pods as an API server does, and answers client-go without a
// network, so that time can be a test's own. e2e/gate holds the same actions to a
// real one.
type apiserver struct {
	mu      sync.Mutex
	pods    map[string]*corev1.Pod
	version int
	asked   []string
	// before is called ahead of each request, outside the lock. A *metav1.Status
	// or an error that it returns is the answer, and nothing is done.
	before func(r *http.Request, pod string) error
	// lost makes an answer get lost after the request was done.
	lost func(r *http.Request, pod string) bool
}

func newAPIServer(names ...string) *apiserver {
	s := &apiserver{pods: map[string]*corev1.Pod{}}
	for _, name := range names {
		s.put(&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-of-" + name)},
			Spec:       corev1.PodSpec{SchedulingGates: []corev1.PodSchedulingGate{{Name: kube.Gate}}},
		})
	}
	return s
}

// put stores a pod with a new version.
func (s *apiserver) put(p *corev1.Pod) {
	s.version++
	p.ResourceVersion = strconv.Itoa(s.version)
	s.pods[p.Name] = p
}

func (s *apiserver) get(name string) corev1.Pod {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.pods[name]; p != nil {
		return *p.DeepCopy()
	}
	return corev1.Pod{}
}

// took returns what was asked since the last time.
func (s *apiserver) took() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.asked
	s.asked = nil
	return out
}

// client speaks to the server.
func (s *apiserver) client(t *testing.T) rest.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: "http://apiserver", Transport: s, QPS: 1, Burst: 1})
	if err != nil {
		t.Fatal(err)
	}
	return client.CoreV1().RESTClient()
}

// RoundTrip answers one request, or fails as a network does.
func (s *apiserver) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/shop/pods/"), "/")
	s.mu.Lock()
	s.asked = append(s.asked, r.Method+" "+strings.Join(parts, "/"))
	before, lost := s.before, s.lost
	s.mu.Unlock()
	if before != nil {
		if err := before(r, parts[0]); err != nil {
			var answer *refusal
			if errors.As(err, &answer) {
				return respond(r, int(answer.Code), answer.Status), nil
			}
			return nil, err
		}
	}
	code, answer := s.do(r, parts, body)
	if lost != nil && lost(r, parts[0]) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return respond(r, code, answer), nil
}

// refusal is an answer that says no.
type refusal struct{ metav1.Status }

func (r *refusal) Error() string { return r.Message }

func refuse(code int32, reason metav1.StatusReason, message string, causes ...metav1.StatusCause) *refusal {
	return &refusal{metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
		Code: code, Reason: reason, Message: message, Details: &metav1.StatusDetails{Causes: causes},
	}}
}

func respond(r *http.Request, code int, body any) *http.Response {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return &http.Response{
		StatusCode: code, Status: strconv.Itoa(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(text)), ContentLength: int64(len(text)),
	}
}

func (s *apiserver) do(r *http.Request, parts []string, body []byte) (int, any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	no := func(code int32, reason metav1.StatusReason, message string) (int, any) {
		return int(code), refuse(code, reason, message).Status
	}
	pod := s.pods[parts[0]]
	if pod == nil {
		return no(http.StatusNotFound, metav1.StatusReasonNotFound, fmt.Sprintf("pods %q not found", parts[0]))
	}
	if r.Method == http.MethodPatch {
		before, err := json.Marshal(pod)
		if err != nil {
			panic(err)
		}
		var after []byte
		if r.Header.Get("Content-Type") == "application/json-patch+json" {
			patch, err := jsonpatch.DecodePatch(body)
			if err != nil {
				return no(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
			}
			if after, err = patch.Apply(before); err != nil {
				return no(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "the server rejected our request due to an error in our request")
			}
		} else if after, err = jsonpatch.MergePatch(before, body); err != nil {
			return no(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		}
		next := &corev1.Pod{}
		if err := json.Unmarshal(after, next); err != nil {
			return no(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		}
		if next.UID != pod.UID {
			answer := refuse(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "metadata.uid: field is immutable", metav1.StatusCause{Field: "metadata.uid"})
			return int(answer.Code), answer.Status
		}
		if next.ResourceVersion != pod.ResourceVersion {
			return no(http.StatusConflict, metav1.StatusReasonConflict, "the object has been modified")
		}
		if !bytes.Equal(before, after) {
			s.put(next)
		}
		return http.StatusOK, next
	}
	options := &metav1.DeleteOptions{}
	if len(parts) > 1 {
		eviction := &policyv1.Eviction{}
		if err := json.Unmarshal(body, eviction); err != nil {
			return no(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		}
		options = eviction.DeleteOptions
	} else if err := json.Unmarshal(body, options); err != nil {
		return no(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
	}
	if p := options.Preconditions; p == nil || p.UID == nil || *p.UID != pod.UID || p.ResourceVersion != nil && *p.ResourceVersion != pod.ResourceVersion {
		return no(http.StatusConflict, metav1.StatusReasonConflict, "the precondition does not match")
	}
	delete(s.pods, parts[0])
	return http.StatusCreated, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess}
}
