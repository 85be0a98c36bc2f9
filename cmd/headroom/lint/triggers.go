package lint

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/keda-headroom/headroom/internal/bypass"
	"github.com/keda-headroom/headroom/internal/inventory"
	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/trigger"
)

// What can be wrong between a trigger and the policies.
const (
	CodeTrigger         = "Trigger"         // its metadata would be refused
	CodeUnknownWorkload = "UnknownWorkload" // no policy governs what it names
	CodeNotAsked        = "NotAsked"        // nothing asks for what a policy governs (warning)
)

// triggers judges the triggers of a fleet that ask Headroom, by the rules that
// it answers KEDA with.
func (j *judgment) triggers(fleet bypass.Input, set policy.Set) {
	object := inventory.Name(fleet)
	fails := func(field string, code policy.Code, rule, remedy string) {
		j.add(object, field, Finding{Severity: policy.SeverityError, Code: code, Rule: rule, Remedy: remedy})
	}
	for i, t := range inventory.Triggers(fleet) {
		if !bypass.Asks(t) {
			continue
		}
		at := fmt.Sprintf("spec.triggers[%d].metadata", i)
		if rule, remedy := j.address(object.Namespace, t); rule != "" {
			fails(at+"."+trigger.ScalerAddress, CodeTrigger, rule, remedy)
		}
		if _, err := trigger.Parse(object.Namespace, t.Metadata); err != nil {
			fails(at, CodeTrigger, err.Error(), "")
			continue
		}
		name, known := inventory.Workload(fleet, t)
		if !known || len(j.policies) == 0 {
			continue // it stands where it can't be seen
		}
		key := trigger.Workload
		if _, given := t.Metadata[key]; !given {
			key = trigger.WorkloadFromEnv
		}
		rule, remedy := mismatch(set, object, name)
		if rule != "" {
			fails(at+"."+key, CodeUnknownWorkload, rule, remedy)
		}
	}
}

// mismatch says why a policy does not answer for a workload that an object names.
func mismatch(set policy.Set, object bypass.Object, name string) (rule, remedy string) {
	var known []string
	for _, w := range set.Workloads {
		if w.ID.Namespace != object.Namespace {
			continue
		}
		known = append(known, w.ID.Name)
		if w.ID.Name != name {
			continue
		}
		kind, field, scaled := "ScaledObject", "scaledObjectRef", w.ScaledObject
		if w.ScaledJob != "" {
			kind, field, scaled = "ScaledJob", "scaledJobRef", w.ScaledJob
		}
		if scaled != "" && (scaled != object.Name || kind != object.Kind) {
			return fmt.Sprintf("the policy governs workload %s for %s %q: two would each scale to the whole target", w.ID, kind, scaled),
				"correct " + field + " in the policy, or workload here"
		}
		return "", ""
	}
	if len(known) == 0 {
		return fmt.Sprintf("no policy governs workload %q, nor any other in namespace %s", name, object.Namespace), "add a policy there"
	}
	return fmt.Sprintf("no policy governs workload %q; in namespace %s there are %s", name, object.Namespace, strings.Join(known, ", ")), "correct it, or add the workload to a policy there"
}

// address says what is wrong with where KEDA is sent.
func (j *judgment) address(namespace string, t kedaapi.Trigger) (rule, remedy string) {
	if _, given := t.Metadata[trigger.ScalerAddress+"FromEnv"]; given {
		return "", ""
	}
	const example = `as in "headroom.headroom.svc:6000"`
	address := t.Metadata[trigger.ScalerAddress]
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return fmt.Sprintf("expected HOST:PORT, found %q", address), "write it " + example
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 {
		return fmt.Sprintf("expected a port from 1 to 65535, found %q", port), "write it " + example
	}
	name, rest, _ := strings.Cut(host, ".")
	if at, _, _ := strings.Cut(rest, "."); at != "" {
		namespace = at
	}
	for _, s := range j.inventory.Services {
		if s.Name != name || s.Namespace != namespace || s.Spec.ClusterIP == corev1.ClusterIPNone {
			continue
		}
		if !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return int(p.Port) == n }) {
			return fmt.Sprintf("Service %s/%s has no port %d", s.Namespace, s.Name, n), "correct the port"
		}
	}
	return "", ""
}

// notAsked warns of workloads that a policy governs in mode Target or Gate while
// nothing among the fleets is theirs. Where there are no fleets at all, they are
// kept elsewhere.
func (j *judgment) notAsked(fleets []bypass.Input, set policy.Set) {
	for _, w := range set.Workloads {
		seen := j.inventory.Live && len(j.inventory.Missing) == 0
		asked := false
		for _, f := range fleets {
			seen = seen || inventory.Name(f).Namespace == w.ID.Namespace
			asked = asked || (f.Workload != nil && f.Workload.ID == w.ID)
		}
		if asked || !seen || w.Mode == policy.Observe {
			continue
		}
		rule, remedy := missing(w)
		j.report.Findings = append(j.report.Findings, Finding{
			File: j.policyFile(w), Object: "workload " + w.ID.String(), Severity: policy.SeverityWarning, Code: CodeNotAsked, namespace: w.ID.Namespace,
			Rule: rule, Remedy: remedy,
		})
	}
}

// missing says what there is not of a workload that a policy governs.
func missing(w policy.Workload) (rule, remedy string) {
	const add = "add it, or name the right one in the policy"
	switch {
	case w.ScaledJob != "":
		return fmt.Sprintf("there is no ScaledJob %s/%s that would ask for it", w.ID.Namespace, w.ScaledJob), add
	case w.ScaleTarget != nil:
		return fmt.Sprintf("there is no %s %s/%s that would run its pods", w.ScaleTarget.Kind, w.ID.Namespace, w.ScaleTarget.Name), add
	case len(w.PodSelector) > 0:
		return fmt.Sprintf("nothing in namespace %s has a pod template with the labels %s", w.ID.Namespace, labels.Set(w.PodSelector)), "correct podSelector in the policy; pods that nothing of Kubernetes' own runs can't be seen here"
	}
	return fmt.Sprintf("there is no ScaledObject %s/%s that would ask for it", w.ID.Namespace, cmp.Or(w.ScaledObject, w.ID.Name)), add
}

// policyFile returns the file of the policy that governs a workload, "" where it
// came from a cluster or several could have it.
func (j *judgment) policyFile(w policy.Workload) string {
	file := ""
	for _, d := range j.policies {
		if d.Source.Namespace != w.ID.Namespace {
			continue
		}
		if of := j.texts[d.Source.Where].File; file == "" {
			file = of
		} else if file != of {
			return ""
		}
	}
	return file
}
