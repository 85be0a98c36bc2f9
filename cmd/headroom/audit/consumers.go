package audit

import (
	"context"
	"fmt"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/internal/bypass"
	"github.com/keda-headroom/headroom/internal/inventory"
	"github.com/keda-headroom/headroom/policy"
)

// pods are a fleet, or a fixed number of pods, before it is known what they use.
type pods struct {
	consumer Consumer // without connections
	template *corev1.PodTemplateSpec
	workload *policy.Workload // nil where no policy governs it
	scaled   bool             // by KEDA or an HPA
}

// everybody returns all that runs pods in the inventory: what KEDA scales first,
// then what an HPA does, then what has a fixed number.
func everybody(in inventory.Inventory, set policy.Set) []pods {
	var all []pods
	taken := map[bypass.Object]bool{}
	for _, f := range in.Fleets(set) {
		p := fleet(f)
		if f.ScaledObject != nil {
			kind, name := f.ScaledObject.Target()
			target := bypass.Object{Kind: kind, Namespace: f.ScaledObject.Namespace, Name: name}
			if taken[target] {
				continue // two scale one target: lint says so
			}
			taken[target] = true
		}
		all = append(all, p)
	}
	fixed := func(kind string, meta metav1.ObjectMeta, template *corev1.PodTemplateSpec, replicas int, from string, f bypass.Input) {
		object := bypass.Object{Kind: kind, Namespace: meta.Namespace, Name: meta.Name}
		if taken[object] {
			return
		}
		p := pods{template: template, workload: f.Workload, consumer: Consumer{Object: object, Replicas: replicas, MaxFrom: from}}
		if hpa := scaler(in.HPAs, object); hpa != nil {
			p.scaled = true
			p.consumer.ScaledBy, p.consumer.Replicas, p.consumer.MaxFrom = hpa.Name, int(hpa.Spec.MaxReplicas), "maxReplicas"
		}
		p.consumer.Surge = f.Surge(p.consumer.Replicas)
		p.governed(f)
		if p.consumer.Replicas > 0 {
			all = append(all, p)
		}
	}
	for _, f := range in.Unscaled(set) {
		template, name := inventory.Template(f), inventory.Name(f)
		switch {
		case f.Deployment != nil:
			fixed(name.Kind, f.Deployment.ObjectMeta, template, count(f.Deployment.Spec.Replicas), "replicas", f)
		case f.StatefulSet != nil:
			fixed(name.Kind, f.StatefulSet.ObjectMeta, template, count(f.StatefulSet.Spec.Replicas), "replicas", f)
		case f.Rollout != nil:
			fixed(name.Kind, f.Rollout.ObjectMeta, template, count(f.Rollout.Spec.Replicas), "replicas", f)
		case f.DaemonSet != nil:
			fixed(name.Kind, f.DaemonSet.ObjectMeta, template, int(f.DaemonSet.Status.DesiredNumberScheduled), "desiredNumberScheduled", f)
		}
	}
	return all
}

// count is replicas, 1 where nothing is said.
func count(n *int32) int {
	if n == nil {
		return 1
	}
	return int(*n)
}

// fleet returns the pods of what KEDA scales.
func fleet(in bypass.Input) pods {
	p := pods{template: inventory.Template(in), workload: in.Workload, scaled: true}
	c := &p.consumer
	c.Object = inventory.Name(in)
	c.MaxFrom = "maxReplicaCount"
	if in.ScaledJob != nil {
		c.Replicas = in.ScaledJob.Max()
		if in.ScaledJob.Spec.MaxReplicaCount == nil {
			c.MaxFrom = "KEDA's default"
		}
		if n := in.ScaledJob.Spec.JobTargetRef.Parallelism; n != nil && *n > 1 {
			c.Replicas, c.MaxFrom = c.Replicas*int(*n), c.MaxFrom+" x parallelism"
		}
	} else {
		c.Replicas = in.ScaledObject.Max()
		if in.ScaledObject.Spec.MaxReplicaCount == nil {
			c.MaxFrom = "KEDA's default"
		}
		c.Surge = in.Surge(c.Replicas)
	}
	p.governed(in)
	return p
}

// governed adds what the policy of a fleet makes of it.
func (p *pods) governed(in bypass.Input) {
	if in.Workload != nil {
		p.consumer.Mode, p.consumer.Held = in.Workload.Mode, bypass.Held(in)
	}
}

// scaler returns the HPA of an object, the one with the most replicas where there
// are several.
func scaler(all []autoscalingv2.HorizontalPodAutoscaler, object bypass.Object) *autoscalingv2.HorizontalPodAutoscaler {
	var found *autoscalingv2.HorizontalPodAutoscaler
	for i := range all {
		ref := all[i].Spec.ScaleTargetRef
		if all[i].Namespace == object.Namespace && ref.Kind == object.Kind && ref.Name == object.Name && (found == nil || all[i].Spec.MaxReplicas > found.Spec.MaxReplicas) {
			found = &all[i]
		}
	}
	return found
}

// consumers places all pods with the databases that they use, by name.
func (a *auditor) consumers(ctx context.Context, everyone []pods) {
	for _, p := range everyone {
		uses, err := a.environment.uses(ctx, p.consumer.Object.Namespace, p.template)
		if err != nil {
			a.note("%s: %v", p.consumer.Object, err)
		}
		switch {
		case p.workload != nil && len(p.workload.Databases) > 0:
			if len(p.workload.Databases) == 1 && len(uses) == 1 {
				a.alias(p.workload.Databases[0].Database.String(), uses[0].server)
			}
			for _, u := range p.workload.Databases {
				c := p.consumer
				c.PerPod, c.PerPodFrom, c.DatabaseFrom, c.User, c.Database = u.ConnectionsPerPod, "policy", "policy", u.User, u.DatabaseName
				a.place(u.Database.String(), c)
			}
		case len(uses) > 0:
			for _, u := range uses {
				c := p.consumer
				c.PerPod, c.PerPodFrom, c.DatabaseFrom, c.User, c.Database = u.connections, u.connectionsFrom, u.from, u.user, u.database
				a.place(u.server, c)
			}
		case p.scaled:
			c := p.consumer
			if a.options.AssumeDatabase != "" {
				c.DatabaseFrom = assumed
			}
			a.place(a.options.AssumeDatabase, c)
		}
	}
}

// place adds a consumer to a database, or to those without one.
func (a *auditor) place(name string, c Consumer) {
	if c.PerPod == 0 {
		c.PerPod, c.PerPodFrom = a.options.ConnectionsPerPod, assumed
	}
	c.Connections = (c.Replicas + c.Surge) * c.PerPod
	if name == "" {
		a.report.Unplaced = append(a.report.Unplaced, c)
		return
	}
	a.used[name] = append(a.used[name], c)
}

// alias says that a policy's database is the server of that name.
func (a *auditor) alias(id, server string) {
	if known, ok := a.aliases[id]; ok && known != server {
		a.note("the pods governed for database %s connect to %s and to %s: their connections are counted on the first", id, known, server)
		return
	}
	a.aliases[id] = server
}

func (a *auditor) note(format string, arguments ...any) {
	text := fmt.Sprintf(format, arguments...)
	if !slices.Contains(a.report.Notes, text) {
		a.report.Notes = append(a.report.Notes, strings.TrimSuffix(text, "."))
	}
}
