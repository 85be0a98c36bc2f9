package lint

import (
	"context"
	"fmt"
	"slices"

	"github.com/keda-headroom/headroom/internal/inventory"
	"github.com/keda-headroom/headroom/internal/policyfiles"
	"github.com/keda-headroom/headroom/policy"
)

// judgeCluster judges what a cluster has: it lists, and changes nothing.
func judgeCluster(ctx context.Context, o Options) (Report, error) {
	namespace, err := o.Cluster.Where()
	if err != nil {
		return Report{}, err
	}
	config, err := o.Cluster.Config()
	if err != nil {
		return Report{}, err
	}
	config.UserAgent = "headroom-lint/" + o.Program
	j := newJudgment(o.limits())
	j.inventory, err = inventory.Read(ctx, config, namespace,
		inventory.ScaledObjects, inventory.ScaledJobs, inventory.HPAs, inventory.Deployments, inventory.StatefulSets, inventory.DaemonSets, inventory.CronJobs, inventory.Services,
		inventory.Rollouts, inventory.DisruptionBudgets, inventory.Injectors, inventory.Bound)
	if err != nil {
		return Report{}, err
	}
	// A database's policy usually stands in another namespace than its workloads'.
	policies, err := inventory.Read(ctx, config, "", inventory.Policies)
	if err != nil && namespace != "" {
		j.inventory.Missing = append(j.inventory.Missing, "policies of other namespaces, those of databases among them, are not known: "+err.Error())
		policies, err = inventory.Read(ctx, config, namespace, inventory.Policies)
	}
	if err != nil {
		return Report{}, err
	}
	for _, m := range policies.Policies {
		for _, key := range inventory.Keys(m) {
			object := fmt.Sprintf("ConfigMap %s/%s, key %s", m.Namespace, m.Name, key)
			j.policy(policyfiles.Text{
				Source:  policy.Source{Namespace: m.Namespace, Name: m.Name, CreatedAt: m.CreationTimestamp.Time, Where: object},
				Content: []byte(m.Data[key]), Object: object,
				Place: func(int, int) (int, int) { return 0, 0 },
			})
		}
	}
	if err := j.together(); err != nil {
		return Report{}, err
	}
	if namespace != "" {
		j.only(namespace)
	}
	j.report.Cluster, j.report.Missing = config.Host, slices.Concat(j.inventory.Missing, j.inventory.Unread)
	return j.done(), nil
}

// only keeps what was found in one namespace.
func (j *judgment) only(namespace string) {
	j.report.Findings = slices.DeleteFunc(j.report.Findings, func(f Finding) bool { return f.namespace != namespace })
	j.report.Policies = 0
	for _, d := range j.policies {
		if d.Source.Namespace == namespace {
			j.report.Policies++
		}
	}
}
