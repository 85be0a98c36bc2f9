package fakeapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/types"
)

// find returns an object's place among its resource's, -1 where it isn't there. The
// lock is held.
func (s *Server) find(of Request) int {
	return slices.IndexFunc(s.objects[of.Resource], func(o map[string]any) bool {
		return field(o, "namespace") == of.Namespace && field(o, "name") == of.Name
	})
}

// Object returns what there is now, nil where it isn't there.
func (s *Server) Object(resource, namespace, name string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := Request{Resource: resource, Namespace: namespace, Name: name}
	if i := s.find(of); i >= 0 {
		return s.objects[resource][i]
	}
	return nil
}

// Change replaces an object by what change makes of it, as somebody else would; nil
// deletes it. change gets a copy.
func (s *Server) Change(t testing.TB, resource, namespace, name string, change func(map[string]any) map[string]any) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(Request{Resource: resource, Namespace: namespace, Name: name})
	if i < 0 {
		t.Fatalf("no %s %s/%s", resource, namespace, name)
	}
	text, err := json.Marshal(s.objects[resource][i])
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	if object = change(object); object == nil {
		s.objects[resource] = slices.Delete(slices.Clone(s.objects[resource]), i, i+1)
		return
	}
	s.put(resource, i, object)
}

// put writes an object as its next version. The lock is held.
func (s *Server) put(resource string, i int, object map[string]any) {
	version, _ := strconv.Atoi(field(s.objects[resource][i], "resourceVersion")) // 0 for one that came without
	object["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(version + 1)
	s.objects[resource] = slices.Clone(s.objects[resource]) // others may be reading it
	s.objects[resource][i] = object
}

// patch applies a JSON patch or a merge patch as the API server does: a test that
// fails is Invalid, a resourceVersion that is not the object's a Conflict.
func (s *Server) patch(w http.ResponseWriter, r *http.Request, request Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		fail(w, http.StatusBadRequest, "BadRequest")
		return
	}
	if slices.Contains(s.ReadOnly, request.Resource) {
		fail(w, http.StatusForbidden, "Forbidden")
		return
	}
	if s.BeforePatch != nil {
		s.BeforePatch(request)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(request)
	if i < 0 {
		fail(w, http.StatusNotFound, "NotFound")
		return
	}
	old := s.objects[request.Resource][i]
	object, err := patched(old, types.PatchType(r.Header.Get("Content-Type")), body)
	switch {
	case err != nil:
		fail(w, http.StatusUnprocessableEntity, "Invalid")
		return
	case field(object, "resourceVersion") != field(old, "resourceVersion"):
		fail(w, http.StatusConflict, "Conflict")
		return
	}
	s.put(request.Resource, i, object)
	write(w, http.StatusOK, object)
}

// patched returns an object with a patch applied.
func patched(object map[string]any, how types.PatchType, body []byte) (map[string]any, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	switch how {
	case types.JSONPatchType:
		var patch jsonpatch.Patch
		if patch, err = jsonpatch.DecodePatch(body); err == nil {
			text, err = patch.Apply(text)
		}
	case types.MergePatchType:
		text, err = jsonpatch.MergePatch(text, body)
	default:
		err = fmt.Errorf("expected a JSON patch or a merge patch, found %s", how)
	}
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal(text, &out)
}
