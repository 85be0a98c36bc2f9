package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/keda-headroom/headroom/internal/inventory"
	"github.com/keda-headroom/headroom/internal/output"
	"github.com/keda-headroom/headroom/policy"
)

// ErrExceeded is returned where some database can be exceeded. The report has been
// written; it has nothing to add.
var ErrExceeded = errors.New("")

// Run reads the cluster and the databases, and writes the report.
func Run(ctx context.Context, o Options) error {
	r, err := audit(ctx, o)
	if err != nil {
		return err
	}
	if err := output.Write(o.Out, o.Output, r, func() string { return table(r) }); err != nil {
		return err
	}
	if r.exceeded() {
		return ErrExceeded
	}
	return nil
}

// auditor collects a report.
type auditor struct {
	options     Options
	environment *environment
	report      Report
	used        map[string][]Consumer // by the database's name
	aliases     map[string]string     // the servers of policies' databases
}

func audit(ctx context.Context, o Options) (Report, error) {
	if o.Cluster.Namespace == "" {
		o.Cluster.AllNamespaces = true
	}
	namespace, err := o.Cluster.Where()
	if err != nil {
		return Report{}, err
	}
	config, err := o.Cluster.Config()
	if err != nil {
		return Report{}, err
	}
	config.UserAgent = "headroom-audit/" + o.Program
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return Report{}, fmt.Errorf("find a cluster: %w", err)
	}
	found, err := inventory.Read(ctx, config, namespace, inventory.ScaledObjects, inventory.ScaledJobs, inventory.HPAs,
		inventory.Deployments, inventory.StatefulSets, inventory.DaemonSets, inventory.Services, inventory.Rollouts)
	if err != nil {
		return Report{}, err
	}
	a := &auditor{
		options: o, used: map[string][]Consumer{}, aliases: map[string]string{},
		report: Report{Databases: []Database{}, Unplaced: []Consumer{}, Notes: []string{}},
		environment: &environment{
			client: client, secrets: o.ReadSecrets, services: map[string]*corev1.Service{},
			maps: map[string]map[string]string{}, hidden: map[string]map[string]string{},
		},
	}
	for _, missing := range slices.Concat(found.Missing, found.Unread) {
		a.note("%s", missing)
	}
	for i := range found.Services {
		s := &found.Services[i]
		a.environment.services[s.Namespace+"/"+s.Name] = s
	}
	// A database's policy usually stands in another namespace than its workloads'.
	policies, err := inventory.Read(ctx, config, "", inventory.Policies)
	if err != nil {
		a.note("policies are not known: %v", err)
	}
	a.consumers(ctx, everybody(found, a.policies(policies)))
	a.databases(ctx)
	return a.report, nil
}

// policies returns what is in force.
func (a *auditor) policies(in inventory.Inventory) policy.Set {
	var documents []policy.Document
	for _, m := range in.Policies {
		for _, key := range inventory.Keys(m) {
			where := fmt.Sprintf("ConfigMap %s/%s, key %s", m.Namespace, m.Name, key)
			found, problems := policy.Parse(policy.Source{Namespace: m.Namespace, Name: m.Name, CreatedAt: m.CreationTimestamp.Time, Where: where}, []byte(m.Data[key]))
			if policy.HasErrors(problems) {
				a.note("%s has errors and is not counted: headroom lint says which", where)
			}
			documents = append(documents, found...)
		}
	}
	set, _ := policy.Resolve(documents)
	return set
}

// databases judges every database that is used, or that the flags name.
func (a *auditor) databases(ctx context.Context) {
	given := a.knowledge(ctx)
	all := map[string]*Database{}
	named := func(name string) *Database {
		server := name
		if host := a.aliases[name]; host != "" {
			server = host
		}
		d := all[server]
		if d == nil {
			d = &Database{Name: server, Limits: []Limit{}, Consumers: []Consumer{}}
			all[server] = d
		}
		if strings.Contains(name, "/") && !slices.Contains(d.Policies, name) {
			d.Policies = append(d.Policies, name)
		}
		return d
	}
	for _, name := range slices.Sorted(maps.Keys(a.used)) {
		d := named(name)
		d.Consumers = append(d.Consumers, a.used[name]...)
	}
	allowed := map[string]known{}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		d := named(name)
		k := allowed[d.Name]
		if given[name].dsn != nil {
			k.dsn = given[name].dsn
		}
		k.maxConnections = max(k.maxConnections, given[name].maxConnections)
		allowed[d.Name] = k
		if len(d.Consumers) == 0 {
			a.note("no fleet was found that uses %s: is it called so here?", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		d := all[name]
		a.limits(ctx, d, allowed[name])
		d.judge()
		a.report.Databases = append(a.report.Databases, *d)
	}
}
