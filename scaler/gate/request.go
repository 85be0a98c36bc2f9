package gate

import (
	"encoding/json"
	"net/http"
	"strings"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keda-headroom/headroom/metrics/kube"
)

// Request is one request to the API server.
type Request struct {
	// Method is PATCH, POST or DELETE.
	Method string
	// Namespace and Name are the pod's, Subresource "" or "eviction".
	Namespace, Name, Subresource string
	// ContentType is the body's, and of a patch says how it is read.
	ContentType string
	Body        []byte
}

const contentTypeJSON = "application/json"

// Requests returns what carries an action out. The second, where there is one, is
// sent only where the first was refused: see [Action.second].
func (a Action) Requests() []Request {
	switch a.Kind {
	case Stamp:
		return []Request{a.stamp()}
	case Admit:
		if a.Annotated {
			return []Request{a.admission(true)}
		}
		return []Request{a.admission(true), a.admission(false)}
	case Evict:
		if a.IgnoreDisruptionBudgets {
			return []Request{a.eviction(), a.deletion()}
		}
		return []Request{a.eviction()}
	}
	return nil
}

// second is how the first request has to have ended for the second to be sent: an
// admission that does not apply may only have met a pod without annotations, and
// a deletion is for what a PodDisruptionBudget keeps.
func (a Action) second() Result {
	if a.Kind == Admit {
		return Stale
	}
	return Blocked
}

func (a Action) request(method, subresource, contentType string, body any) Request {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // nothing in here that JSON can't say
	}
	return Request{
		Method: method, Namespace: a.Workload.Namespace, Name: a.Name, Subresource: subresource,
		ContentType: contentType, Body: text,
	}
}

// stamp is a merge patch: it makes the annotations where there are none, and
// leaves alone those that there are. A uid in it that is not the pod's is refused,
// because a uid can't be changed, and so is a resourceVersion that is no longer the
// pod's.
func (a Action) stamp() Request {
	metadata := map[string]any{"uid": a.UID, "annotations": map[string]string{kube.EpochAnnotation: a.Epoch}}
	if a.Version != "" {
		metadata["resourceVersion"] = a.Version
	}
	return a.request(http.MethodPatch, "", string(types.MergePatchType), map[string]any{"metadata": metadata})
}

// operation is one of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// absent is the JSON of a test for a field that is not there.
type absent struct{}

// MarshalJSON writes null, which omitempty would leave out.
func (absent) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// admission is a JSON patch: it tests that the pod is the one that the plan saw,
// as the plan saw it, and that our gate is the only one on it; then it stamps the
// grant and removes the gate. The API server tests again wherever it tries again.
//
// A JSON patch can't add to annotations that aren't there, so where there are none
// it has to be another one, which tests that.
func (a Action) admission(annotated bool) Request {
	grant, err := json.Marshal(a.Grant)
	if err != nil || a.Grant == nil {
		grant = []byte("{}")
	}
	patch := []operation{
		{Op: "test", Path: "/metadata/uid", Value: a.UID},
		{Op: "test", Path: "/metadata/resourceVersion", Value: a.Version},
		{Op: "test", Path: "/spec/schedulingGates", Value: []map[string]string{{"name": kube.Gate}}},
	}
	if annotated {
		patch = append(patch, operation{Op: "add", Path: "/metadata/annotations/" + escape(kube.GrantAnnotation), Value: string(grant)})
	} else {
		patch = append(patch,
			operation{Op: "test", Path: "/metadata/annotations", Value: absent{}},
			operation{Op: "add", Path: "/metadata/annotations", Value: map[string]string{kube.GrantAnnotation: string(grant)}})
	}
	patch = append(patch, operation{Op: "remove", Path: "/spec/schedulingGates/0"})
	return a.request(http.MethodPatch, "", string(types.JSONPatchType), patch)
}

// escape writes a key as a part of a JSON pointer.
func escape(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }

func (a Action) eviction() Request {
	return a.request(http.MethodPost, "eviction", contentTypeJSON, policyv1.Eviction{
		TypeMeta:      metav1.TypeMeta{APIVersion: policyv1.SchemeGroupVersion.String(), Kind: "Eviction"},
		ObjectMeta:    metav1.ObjectMeta{Namespace: a.Workload.Namespace, Name: a.Name},
		DeleteOptions: a.deleteOptions(),
	})
}

// deletion leaves the pod its own grace.
func (a Action) deletion() Request {
	return a.request(http.MethodDelete, "", contentTypeJSON, a.deleteOptions())
}

func (a Action) deleteOptions() *metav1.DeleteOptions {
	options := &metav1.DeleteOptions{
		TypeMeta:      metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
		Preconditions: metav1.NewUIDPreconditions(a.UID),
	}
	if a.Version != "" {
		options.Preconditions.ResourceVersion = &a.Version
	}
	return options
}
