package inventory

import (
	"cmp"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/keda-headroom/headroom/internal/argoapi"
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
	around := i.around()
	for n := range i.ScaledObjects {
		o := &i.ScaledObjects[n]
		in := around.of(o.Namespace)
		in.ScaledObject = o
		kind, name := o.Target()
		i.run(&in, kind, o.Namespace, name)
		in.Workload = governed.of(in)
		fleets = append(fleets, in)
	}
	for n := range i.ScaledJobs {
		j := &i.ScaledJobs[n]
		in := bypass.Input{ScaledJob: j, DisruptionBudgets: around.budgets[j.Namespace], Live: around.live, Injects: around.injects}
		in.Workload = governed.of(in)
		fleets = append(fleets, in)
	}
	sortFleets(fleets)
	return fleets
}

// Unscaled returns what runs pods and no ScaledObject scales: each with the policy
// that names it or selects its pods, or none.
func (i Inventory) Unscaled(set policy.Set) []bypass.Input {
	scaled := map[bypass.Object]bool{}
	for _, o := range i.ScaledObjects {
		kind, name := o.Target()
		scaled[bypass.Object{Kind: kind, Namespace: o.Namespace, Name: name}] = true
	}
	for _, r := range i.Rollouts {
		if ref := r.Spec.WorkloadRef; ref != nil {
			scaled[bypass.Object{Kind: ref.Kind, Namespace: r.Namespace, Name: ref.Name}] = true // has a template alone
		}
	}
	var fleets []bypass.Input
	around := i.around()
	take := func(kind string, meta metav1.ObjectMeta) {
		if scaled[bypass.Object{Kind: kind, Namespace: meta.Namespace, Name: meta.Name}] {
			return
		}
		in := around.of(meta.Namespace)
		i.run(&in, kind, meta.Namespace, meta.Name)
		in.Workload = selects(set, in)
		fleets = append(fleets, in)
	}
	for _, d := range i.Deployments {
		take("Deployment", d.ObjectMeta)
	}
	for _, s := range i.StatefulSets {
		take("StatefulSet", s.ObjectMeta)
	}
	for _, r := range i.Rollouts {
		take("Rollout", r.ObjectMeta)
	}
	for _, c := range i.CronJobs {
		take("CronJob", c.ObjectMeta)
	}
	for _, d := range i.DaemonSets {
		take("DaemonSet", d.ObjectMeta)
	}
	sortFleets(fleets)
	return fleets
}

// selects returns the policy that names what runs the pods, or selects them.
func selects(set policy.Set, in bypass.Input) *policy.Workload {
	object, template := Name(in), Template(in)
	for n := range set.Workloads {
		w := &set.Workloads[n]
		if w.ID.Namespace != object.Namespace {
			continue
		}
		if t := w.ScaleTarget; t != nil && t.Kind == object.Kind && t.Name == object.Name {
			return w
		}
		if len(w.PodSelector) > 0 && template != nil && labels.SelectorFromSet(w.PodSelector).Matches(labels.Set(template.Labels)) {
			return w
		}
	}
	return nil
}

// run adds what runs a fleet's pods, where it is there.
func (i Inventory) run(in *bypass.Input, kind, namespace, name string) {
	deployment := func(name string) *appsv1.Deployment {
		return find(i.Deployments, func(d *appsv1.Deployment) bool { return d.Namespace == namespace && d.Name == name })
	}
	switch kind {
	case "Deployment":
		in.Deployment = deployment(name)
	case "StatefulSet":
		in.StatefulSet = find(i.StatefulSets, func(s *appsv1.StatefulSet) bool { return s.Namespace == namespace && s.Name == name })
	case "Rollout":
		in.Rollout = find(i.Rollouts, func(r *argoapi.Rollout) bool { return r.Namespace == namespace && r.Name == name })
		if in.Rollout != nil && in.Rollout.Spec.WorkloadRef != nil && in.Rollout.Spec.WorkloadRef.Kind == "Deployment" {
			in.Referred = deployment(in.Rollout.Spec.WorkloadRef.Name)
		}
	case "CronJob":
		in.CronJob = find(i.CronJobs, func(c *batchv1.CronJob) bool { return c.Namespace == namespace && c.Name == name })
	case "DaemonSet":
		in.DaemonSet = find(i.DaemonSets, func(d *appsv1.DaemonSet) bool { return d.Namespace == namespace && d.Name == name })
	}
}

// surroundings are what is beside a fleet in its namespace.
type surroundings struct {
	live    bool
	injects *bool
	hpas    map[string][]autoscalingv2.HorizontalPodAutoscaler
	objects map[string][]kedaapi.ScaledObject
	budgets map[string][]policyv1.PodDisruptionBudget
}

func (i Inventory) around() surroundings {
	s := surroundings{
		live: i.Live, injects: i.Injects(), hpas: map[string][]autoscalingv2.HorizontalPodAutoscaler{},
		objects: map[string][]kedaapi.ScaledObject{}, budgets: map[string][]policyv1.PodDisruptionBudget{},
	}
	for _, h := range i.HPAs {
		s.hpas[h.Namespace] = append(s.hpas[h.Namespace], h)
	}
	for _, o := range i.ScaledObjects {
		s.objects[o.Namespace] = append(s.objects[o.Namespace], o)
	}
	for _, b := range i.DisruptionBudgets {
		s.budgets[b.Namespace] = append(s.budgets[b.Namespace], b)
	}
	return s
}

// of returns a fleet of a namespace of which nothing else is known.
func (s surroundings) of(namespace string) bypass.Input {
	return bypass.Input{Live: s.live, Injects: s.injects, HPAs: s.hpas[namespace], ScaledObjects: s.objects[namespace], DisruptionBudgets: s.budgets[namespace]}
}

func sortFleets(fleets []bypass.Input) {
	slices.SortStableFunc(fleets, func(a, b bypass.Input) int {
		x, y := Name(a), Name(b)
		return cmp.Or(-cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Name, y.Name))
	})
}

func find[T any](all []T, is func(*T) bool) *T {
	for i := range all {
		if is(&all[i]) {
			return &all[i]
		}
	}
	return nil
}

// Name returns what KEDA scales the fleet by, else what runs its pods.
func Name(in bypass.Input) bypass.Object { return in.Name() }

// Triggers returns the fleet's triggers.
func Triggers(in bypass.Input) []kedaapi.Trigger { return in.Triggers() }

// Template returns that of the fleet's pods, nil where it is not known.
func Template(in bypass.Input) *corev1.PodTemplateSpec { return in.Template() }

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
		case w.ScaleTarget != nil || len(w.PodSelector) > 0: // nothing of KEDA's scales it
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
