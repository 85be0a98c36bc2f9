package explorer

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"sync"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keda-headroom/headroom/metrics/kube"
	"github.com/keda-headroom/headroom/scaler/gate"
)

// library keeps requests, so that a message can name one by a number, and what
// became of each on each object that it met.
type library struct {
	scene    *Scene
	requests sync.Map // uint64 → []gate.Request
	kinds    sync.Map // uint64 → gate.Kind
	outcomes sync.Map // outcomeKey → outcome
}

type outcomeKey struct {
	request uint64
	pod     uint8
	object  object
}

// outcome is what a request does to an object.
type outcome struct {
	ok     bool // it was not refused
	after  object
	remove bool // the pod is deleted with its grace
	next   uint64
}

// keep gives an action's requests a number: the same requests always have the same.
func (l *library) keep(kind gate.Kind, requests []gate.Request) uint64 {
	var text []byte
	for _, r := range requests {
		text = append(text, r.Method...)
		text = append(text, r.Name...)
		text = append(text, r.Subresource...)
		text = append(text, r.ContentType...)
		text = binary.AppendUvarint(text, uint64(len(r.Body)))
		text = append(text, r.Body...)
	}
	id := maphash.Bytes(seed, text)
	l.requests.LoadOrStore(id, requests)
	l.kinds.LoadOrStore(id, kind)
	return id
}

func (l *library) kind(id uint64) gate.Kind {
	k, _ := l.kinds.Load(id)
	kind, _ := k.(gate.Kind)
	return kind
}

// land is what the API server makes of a request when it gets to it.
func (l *library) land(id uint64, pod uint8, o object) outcome {
	key := outcomeKey{id, pod, o}
	if known, ok := l.outcomes.Load(key); ok {
		out, _ := known.(outcome)
		return out
	}
	stored, _ := l.requests.Load(id)
	requests, _ := stored.([]gate.Request)
	out := l.try(requests[0], pod, o)
	if !out.ok && len(requests) > 1 && o.present {
		out.next = l.keep(l.kind(id), requests[1:])
	}
	l.outcomes.Store(key, out)
	return out
}

func (l *library) try(r gate.Request, pod uint8, o object) outcome {
	if !o.present {
		return outcome{}
	}
	switch {
	case r.Subresource == "eviction":
		var e policyv1.Eviction
		if err := json.Unmarshal(r.Body, &e); err != nil {
			panic(err)
		}
		return l.delete(e.DeleteOptions, pod, o)
	case r.Method == "DELETE":
		var options metav1.DeleteOptions
		if err := json.Unmarshal(r.Body, &options); err != nil {
			panic(err)
		}
		return l.delete(&options, pod, o)
	}
	document := l.document(pod, o)
	var after []byte
	var err error
	switch types.PatchType(r.ContentType) {
	case types.JSONPatchType:
		var patch jsonpatch.Patch
		if patch, err = jsonpatch.DecodePatch(r.Body); err != nil {
			panic(err)
		}
		after, err = patch.Apply(document)
	case types.MergePatchType:
		after, err = jsonpatch.MergePatch(document, r.Body)
	default:
		panic("explorer: a patch of type " + r.ContentType + " is not known here")
	}
	if err != nil {
		return outcome{}
	}
	return l.parse(after, pod, o)
}

func (l *library) delete(options *metav1.DeleteOptions, pod uint8, o object) outcome {
	if options != nil && options.Preconditions != nil {
		p := options.Preconditions
		if p.UID != nil && string(*p.UID) != l.scene.podName(int(pod)) || p.ResourceVersion != nil && *p.ResourceVersion != versionText(o.version) {
			return outcome{}
		}
	}
	return outcome{ok: true, after: o, remove: true}
}

// manifest is the part of a pod that patches touch.
type manifest struct {
	Metadata struct {
		UID             string            `json:"uid"`
		ResourceVersion string            `json:"resourceVersion"`
		Annotations     map[string]string `json:"annotations,omitempty"`
	} `json:"metadata"`
	Spec struct {
		SchedulingGates []schedulingGate `json:"schedulingGates,omitempty"`
	} `json:"spec"`
}

type schedulingGate struct {
	Name string `json:"name"`
}

const othersGate = "example.com/quota"

func (l *library) document(pod uint8, o object) []byte {
	var m manifest
	m.Metadata.UID, m.Metadata.ResourceVersion = l.scene.podName(int(pod)), versionText(o.version)
	m.Metadata.Annotations = map[string]string{}
	if o.epoch > 0 {
		m.Metadata.Annotations[kube.EpochAnnotation] = epochText(o.epoch, o.mark)
	}
	if o.grant > 0 {
		grant, err := json.Marshal(map[string]int{l.scene.databaseID(l.scene.Pods[pod].Workload).String(): int(o.grant)})
		if err != nil {
			panic(err)
		}
		m.Metadata.Annotations[kube.GrantAnnotation] = string(grant)
	}
	if o.otherGates {
		m.Spec.SchedulingGates = append(m.Spec.SchedulingGates, schedulingGate{othersGate})
	}
	if o.gated {
		m.Spec.SchedulingGates = append(m.Spec.SchedulingGates, schedulingGate{kube.Gate})
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return text
}

// parse reads a pod back. What can't be changed is refused.
func (l *library) parse(text []byte, pod uint8, before object) outcome {
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		panic(err)
	}
	if m.Metadata.UID != l.scene.podName(int(pod)) || m.Metadata.ResourceVersion != versionText(before.version) {
		return outcome{} // a patch that sets another one is a condition
	}
	after := before
	after.gated, after.otherGates = false, false
	for _, g := range m.Spec.SchedulingGates {
		after.gated = after.gated || g.Name == kube.Gate
		after.otherGates = after.otherGates || g.Name == othersGate
	}
	if after.gated && !before.gated || after.otherGates && !before.otherGates {
		return outcome{} // gates can't be added
	}
	after.epoch, after.mark = parseEpoch(m.Metadata.Annotations[kube.EpochAnnotation])
	after.grant = 0
	if text := m.Metadata.Annotations[kube.GrantAnnotation]; text != "" {
		var grant map[string]int
		if err := json.Unmarshal([]byte(text), &grant); err != nil {
			panic(err)
		}
		after.grant = uint8(grant[l.scene.databaseID(l.scene.Pods[pod].Workload).String()])
	}
	return outcome{ok: true, after: after}
}

func versionText(v uint8) string {
	if v == 0 {
		return ""
	}
	return "v" + strconv.Itoa(int(v))
}

func parseVersion(text string) uint8 {
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "v"), 10, 8)
	if err != nil {
		panic(fmt.Sprintf("explorer: a version that no pod had: %q", text))
	}
	return uint8(n)
}

func epochText(term, mark uint8) string {
	switch {
	case term == 0:
		return ""
	case mark == 0:
		return "term" + strconv.Itoa(int(term))
	}
	return "term" + strconv.Itoa(int(term)) + "/" + versionText(mark)
}

func parseEpoch(text string) (term, mark uint8) {
	if text == "" {
		return 0, 0
	}
	head, tail, _ := strings.Cut(strings.TrimPrefix(text, "term"), "/")
	n, err := strconv.ParseUint(head, 10, 8)
	if err != nil {
		panic(fmt.Sprintf("explorer: a term that there never was: %q", text))
	}
	return uint8(n), parseVersion(tail)
}
