package acceptance

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/e2e/cluster"
	"github.com/keda-headroom/headroom/internal/pgserver"
	"github.com/keda-headroom/headroom/internal/pgserver/pgtest"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// A site's database server lets everybody but superusers open 37 connections.
// Headroom holds one or two, and 5 stay free: 30 are for workers, 6 pods of 5.
const (
	maxConnections = 40
	reserve        = 5
	perPod         = 5
	capacity       = 6
)

// site is a test's own namespace, with a database server.
type site struct {
	*world
	t         *testing.T
	namespace string
	database  *pgserver.Server
}

func newSite(t *testing.T) *site {
	t.Helper()
	return newSiteOf(t, map[string]string{"max_connections": strconv.Itoa(maxConnections)})
}

// newSiteOf has a server with these settings.
func newSiteOf(t *testing.T, settings map[string]string) *site {
	t.Helper()
	w := theWorld(t)
	s := &site{world: w, t: t, namespace: w.nextNamespace()}
	s.database = pgtest.Start(t, settings)
	pgtest.Exec(t, s.database,
		"CREATE ROLE worker LOGIN", "CREATE ROLE web LOGIN", "CREATE ROLE headroom LOGIN", "GRANT pg_monitor TO headroom",
		"CREATE TABLE handled (message text NOT NULL)", "GRANT INSERT ON handled TO worker")
	s.apply(`{apiVersion: v1, kind: Namespace, metadata: {name: ` + s.namespace + `}}`)
	t.Cleanup(s.leave)
	s.apply(s.fill(databaseAccess))
	return s
}

// databaseAccess is what the owner of a database gives Headroom.
const databaseAccess = `
apiVersion: v1
kind: Secret
metadata: {name: database, namespace: $NAMESPACE}
stringData: {dsn: "$DSN"}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: headroom-reads-database, namespace: $NAMESPACE}
rules:
- {apiGroups: [""], resources: [secrets], resourceNames: [database], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: headroom-reads-database, namespace: $NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: headroom-reads-database}
subjects:
- {kind: ServiceAccount, name: headroom, namespace: headroom}
`

// leave deletes the namespace, and says what went on where the test has failed.
func (s *site) leave() {
	ctx := context.Background()
	if s.t.Failed() {
		plans, err := s.headroom.get(ctx, "/v1/plans")
		s.t.Logf("plans: %s %v", plans, err)
		events, err := s.events(ctx)
		s.t.Logf("events: %s %v", strings.Join(events, "\n"), err)
	}
	background := metav1.DeletePropagationBackground
	if err := s.Client().CoreV1().Namespaces().Delete(ctx, s.namespace, metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
		s.t.Error(err)
	}
}

// fill puts values into manifests in the place of $NAME: the site's own, and those
// that are given as name and value.
func (s *site) fill(manifests string, more ...string) string {
	return expand(manifests, append(more,
		"NAMESPACE", s.namespace, "DSN", s.database.DSN("headroom", "postgres"), "HEADROOM", s.headroom.address(),
		"ENDPOINT", s.aws.URL(), "REGION", region,
	)...)
}

// expand replaces each $NAME of which the value is given, and leaves the others.
func expand(text string, pairs ...string) string {
	return os.Expand(text, func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return "$" + name
	})
}

func (s *site) apply(documents string) {
	s.t.Helper()
	if err := s.Apply(s.t.Context(), []byte(documents)); err != nil {
		s.t.Fatal(err)
	}
}

// policy applies a ConfigMap with one document of policies.
func (s *site) policy(name, document string) {
	s.t.Helper()
	s.apply(fmt.Sprintf(`
apiVersion: v1
kind: ConfigMap
metadata: {name: %s, namespace: %s, labels: {keda-headroom.github.io/policy: "true"}}
data:
  policy.yaml: |
    %s
`, name, s.namespace, strings.ReplaceAll(s.fill(document), "\n", "\n    ")))
}

// id is a workload's or a database's of the site.
func (s *site) id(name string) metrics.ID { return metrics.ID{Namespace: s.namespace, Name: name} }

// plan is Headroom's for a workload of the site.
func (s *site) plan(ctx context.Context, workload string) (policy.WorkloadPlan, error) {
	plans, err := s.headroom.plans(ctx)
	if err != nil {
		return policy.WorkloadPlan{}, err
	}
	for _, p := range plans.Plans {
		if w, ok := p.Workload(s.id(workload)); ok {
			return w, nil
		}
	}
	return policy.WorkloadPlan{}, fmt.Errorf("no plan for %s", s.id(workload))
}

// databasePlan is what Headroom knows of a database of the site.
func (s *site) databasePlan(ctx context.Context, database string) (policy.DatabasePlan, error) {
	plans, err := s.headroom.plans(ctx)
	if err != nil {
		return policy.DatabasePlan{}, err
	}
	for _, p := range plans.Plans {
		for _, d := range p.Databases {
			if d.ID == s.id(database) {
				return d, nil
			}
		}
	}
	return policy.DatabasePlan{}, fmt.Errorf("no plan for database %s", s.id(database))
}

// planned waits until a workload's plan is as it should be, and returns it.
func (s *site) planned(workload, what string, is func(policy.WorkloadPlan) bool) (found policy.WorkloadPlan) {
	s.t.Helper()
	s.wait(fmt.Sprintf("the plan of %s to be: %s", workload, what), func(ctx context.Context) (bool, error) {
		p, err := s.plan(ctx, workload)
		if err != nil {
			return false, err
		}
		if found = p; is(p) {
			return true, nil
		}
		return false, fmt.Errorf("target %d, ceiling %d, %s: %s", p.Target, p.Ceiling, p.Reason, p.Sentence)
	})
	return found
}

// events are those of the site's objects, as "Kind/name Reason: note".
func (s *site) events(ctx context.Context) ([]string, error) {
	list, err := s.Client().EventsV1().Events(s.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range list.Items {
		if e.ReportingController != "" && !strings.Contains(e.ReportingController, "headroom") {
			continue
		}
		out = append(out, fmt.Sprintf("%s/%s %s: %s", e.Regarding.Kind, e.Regarding.Name, e.Reason, e.Note))
	}
	return out, nil
}

// told waits for an event of Headroom's on an object, and returns it.
func (s *site) told(object, reason string) (note string) {
	s.t.Helper()
	s.wait("event "+reason+" on "+object, func(ctx context.Context) (bool, error) {
		events, err := s.events(ctx)
		for _, e := range events {
			if rest, ok := strings.CutPrefix(e, object+" "+reason+": "); ok {
				note = rest
				return true, nil
			}
		}
		if err == nil {
			err = fmt.Errorf("there are %q", events)
		}
		return false, err
	})
	return note
}

func (s *site) wait(what string, condition func(context.Context) (bool, error)) {
	s.t.Helper()
	eventually(s.t, what, condition)
}

func eventually(t *testing.T, what string, condition func(context.Context) (bool, error)) {
	t.Helper()
	if err := cluster.WaitFor(context.WithoutCancel(t.Context()), patience, what, condition); err != nil {
		t.Fatal(err)
	}
}
