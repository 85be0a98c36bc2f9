package inventory

import (
	"cmp"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/keda-headroom/headroom/internal/bypass"
	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/trigger"
)

// Fleets joins every ScaledObject and ScaledJob with what it scales, what else
// scales that, and the policy in force that governs it: ScaledObjects first, each
// by namespace and name.
func (i Inventory) Fleets(set policy.Set) []bypass.Input {
	var fleets []bypass.Input
	governed := govern(set)
	hpas, objects := map[string][]autoscalingv2.HorizontalPodAutoscaler{}, map[string][]kedaapi.ScaledObject{}
	for _, h := range i.HPAs {
		hpas[h.Namespace] = append(hpas[h.Namespace], h)
	}
	for _, o := range i.ScaledObjects {
		objects[o.Namespace] = append(objects[o.Namespace], o)
	}
	for n := range i.ScaledObjects {
		o := &i.ScaledObjects[n]
		in := bypass.Input{ScaledObject: o, HPAs: hpas[o.Namespace], ScaledObjects: objects[o.Namespace], Live: i.Live}
		kind, name := o.Target()
		switch kind {
		case "Deployment":
			in.Deployment = find(i.Deployments, func(d *appsv1.Deployment) bool { return d.Namespace == o.Namespace && d.Name == name })
		case "StatefulSet":
			in.StatefulSet = find(i.StatefulSets, func(s *appsv1.StatefulSet) bool { return s.Namespace == o.Namespace && s.Name == name })
		}
		in.Workload = governed.of(in)
		fleets = append(fleets, in)
	}
	for n := range i.ScaledJobs {
		in := bypass.Input{ScaledJob: &i.ScaledJobs[n], Live: i.Live}
		in.Workload = governed.of(in)
		fleets = append(fleets, in)
	}
	slices.SortStableFunc(fleets, func(a, b bypass.Input) int {
		x, y := Name(a), Name(b)
		return cmp.Or(-cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Name, y.Name))
	})
	return fleets
}

func find[T any](all []T, is func(*T) bool) *T {
	for i := range all {
		if is(&all[i]) {
			return &all[i]
		}
	}
	return nil
}

// Name returns what KEDA scales the fleet by.
func Name(in bypass.Input) bypass.Object {
	if in.ScaledJob != nil {
		return bypass.Object{Kind: "ScaledJob", Namespace: in.ScaledJob.Namespace, Name: in.ScaledJob.Name}
	}
	return bypass.Object{Kind: "ScaledObject", Namespace: in.ScaledObject.Namespace, Name: in.ScaledObject.Name}
}

// Triggers returns the fleet's triggers.
func Triggers(in bypass.Input) []kedaapi.Trigger {
	if in.ScaledJob != nil {
		return in.ScaledJob.Spec.Triggers
	}
	return in.ScaledObject.Spec.Triggers
}

// Template returns that of the fleet's pods, nil where it is not known.
func Template(in bypass.Input) *corev1.PodTemplateSpec {
	switch {
	case in.ScaledJob != nil:
		return &in.ScaledJob.Spec.JobTargetRef.Template
	case in.Deployment != nil:
		return &in.Deployment.Spec.Template
	case in.StatefulSet != nil:
		return &in.StatefulSet.Spec.Template
	}
	return nil
}

// Workload returns the name of the workload that a trigger names, and reports
// false where that is not known: it is wrong, or stands in an environment that
// can't be seen here.
func Workload(in bypass.Input, t kedaapi.Trigger) (string, bool) {
	metadata := t.Metadata
	if variable, given := metadata[trigger.WorkloadFromEnv]; given {
		value, known := environment(in, variable)
		if !known {
			return "", false
		}
		metadata = map[string]string{trigger.WorkloadFromEnv: value}
	}
	asked, err := trigger.Parse(Name(in).Namespace, metadata)
	return asked.Workload.Name, err == nil
}

// environment returns a variable as KEDA resolves it: of the container that the
// fleet names, else of the first.
func environment(in bypass.Input, variable string) (string, bool) {
	template := Template(in)
	if template == nil || len(template.Spec.Containers) == 0 {
		return "", false
	}
	container, wanted := &template.Spec.Containers[0], ""
	if in.ScaledJob != nil {
		wanted = in.ScaledJob.Spec.EnvSourceContainerName
	} else {
		wanted = in.ScaledObject.Spec.ScaleTargetRef.EnvSourceContainerName
	}
	if named := find(template.Spec.Containers, func(c *corev1.Container) bool { return c.Name == wanted }); named != nil {
		container = named
	}
	for _, e := range container.Env {
		if e.Name == variable && e.ValueFrom == nil {
			return e.Value, true
		}
	}
	return "", false
}

// governed finds the policy of a fleet.
type governed struct {
	objects, jobs, names map[string]*policy.Workload // by namespace/name
}

func govern(set policy.Set) governed {
	g := governed{map[string]*policy.Workload{}, map[string]*policy.Workload{}, map[string]*policy.Workload{}}
	for n := range set.Workloads {
		w := &set.Workloads[n]
		g.names[w.ID.String()] = w
		switch {
		case w.ScaledJob != "":
			g.jobs[w.ID.Namespace+"/"+w.ScaledJob] = w
		case w.ScaledObject != "":
			g.objects[w.ID.Namespace+"/"+w.ScaledObject] = w
		default:
			g.objects[w.ID.String()] = w // the ScaledObject of its own name
		}
	}
	return g
}

// of returns the policy that names the fleet, else the one that the fleet names.
func (g governed) of(in bypass.Input) *policy.Workload {
	name := Name(in)
	named := g.objects
	if in.ScaledJob != nil {
		named = g.jobs
	}
	if w := named[name.Namespace+"/"+name.Name]; w != nil {
		return w
	}
	for _, t := range Triggers(in) {
		if workload, known := Workload(in, t); known && bypass.Asks(t) {
			if w := g.names[name.Namespace+"/"+workload]; w != nil {
				return w
			}
		}
	}
	return nil
}
