package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/keda-headroom/headroom/cmd/headroom/audit"
	"github.com/keda-headroom/headroom/internal/fakeapi"
	"github.com/keda-headroom/headroom/internal/kubeflags"
	"github.com/keda-headroom/headroom/internal/pgserver/pgtest"
)

const ordersDB = "orders-db.platform.svc"

// deployment is a Deployment with a container's environment.
func deployment(namespace, name string, replicas int, env string) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {namespace: %s, name: %s}
spec:
  replicas: %d
  selector: {matchLabels: {app: %[2]s}}
  template:
    metadata: {labels: {app: %[2]s}}
    spec:
      containers:
      - name: worker
        image: registry.example/worker
%[4]s
---
`, namespace, name, replicas, env)
}

// stock is a ScaledObject with KEDA's own trigger, as its documentation has it.
func stock(namespace, name string, most int) string {
	return fmt.Sprintf(`apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {namespace: %s, name: %s}
spec:
  scaleTargetRef: {name: %[2]s}
  maxReplicaCount: %[3]d
  triggers:
  - type: aws-sqs-queue
    metadata: {queueURL: https://sqs.eu-west-1.amazonaws.com/123456789012/%[2]s, queueLength: "5", awsRegion: eu-west-1}
---
`, namespace, name, most)
}

// forty is a cluster with forty stock ScaledObjects, and what else there is.
func forty(t *testing.T) *fakeapi.Server {
	t.Helper()
	api := fakeapi.Start(t)
	for i := range 40 {
		namespace, name := []string{"shop", "billing"}[i%2], fmt.Sprintf("fleet-%02d", i)
		env := `        env: [{name: DATABASE_URL, value: "postgres://worker:hunter2@orders-db.platform:5432/orders"}, {name: DB_POOL_SIZE, value: "2"}]`
		switch i % 4 {
		case 1:
			env = `        envFrom: [{configMapRef: {name: database}}]`
		case 2: // by the name of a Service that stands for another, and with parts
			env = `        env: [{name: PGHOST, value: orders}, {name: PGUSER, value: worker}, {name: DB_POOL_SIZE, valueFrom: {configMapKeyRef: {name: sizes, key: pool}}}]`
		case 3: // no pool is known
			env = `        env: [{name: SUFFIX, value: orders}, {name: ORDERS_DSN, value: "postgresql://worker@orders-db.platform.svc.cluster.local/$(SUFFIX)"}]`
		}
		api.Add(t, deployment(namespace, name, 1, env)+stock(namespace, name, 10))
	}
	for _, namespace := range []string{"shop", "billing"} {
		api.Add(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: %s, name: database}\ndata: {DATABASE_URL: \"postgres://worker@orders-db.platform.svc/orders?pool_max_conns=2\"}\n", namespace))
		api.Add(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: %s, name: sizes}\ndata: {pool: \"2\"}\n", namespace))
		api.Add(t, fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {namespace: %s, name: orders}\nspec: {type: ExternalName, externalName: orders-db.platform.svc}\n", namespace))
	}
	api.Add(t, "apiVersion: v1\nkind: Service\nmetadata: {namespace: platform, name: orders-db}\nspec: {ports: [{port: 5432}]}\n")
	// Others: a web shop of a fixed size, one that an HPA scales, one without a
	// database, and one that was scaled to nothing.
	api.Add(t, deployment("shop", "web", 3, `        env: [{name: DATABASE_URL, value: "postgres://web@orders-db.platform.svc/orders"}, {name: DB_POOL_SIZE, value: "5"}]`)+
		deployment("shop", "api", 2, `        env: [{name: DB_HOST, value: orders-db.platform}, {name: DB_POOL_SIZE, value: "1"}]`)+
		deployment("shop", "proxy", 2, `        env: [{name: PORT, value: "80"}]`)+
		deployment("shop", "old", 0, `        env: [{name: DB_HOST, value: orders-db.platform}]`))
	api.Add(t, "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {namespace: shop, name: api}\nspec: {maxReplicas: 8, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: api}}\n")
	return api
}

func run(t *testing.T, api *fakeapi.Server, o audit.Options) (audit.Report, string, error) {
	t.Helper()
	var out bytes.Buffer
	o.Out, o.Timeout = &out, time.Minute
	o.Cluster.Kubeconfig, o.Cluster.RequestTimeout = api.Kubeconfig(t), time.Minute
	if o.ConnectionsPerPod == 0 {
		o.ConnectionsPerPod = audit.DefaultConnectionsPerPod
	}
	output := o.Output
	if output == "" {
		o.Output = "json"
	}
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	err := audit.Run(t.Context(), o)
	var r audit.Report
	if output == "" && out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
	}
	return r, out.String(), err
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// onlyRead fails where anything but lists and gets was asked, or a Secret.
func onlyRead(t *testing.T, api *fakeapi.Server, resources ...string) {
	t.Helper()
	for _, asked := range api.Asked() {
		if asked.Verb != "list" && (asked.Verb != "get" || !slices.Contains(resources, asked.Resource)) {
			t.Errorf("asked for %+v", asked)
		}
	}
}

// Thirty fleets of at most 10 + 3 pods with 2 connections, ten whose pool is
// assumed to be 10, 3 + 1 web pods with 5, and at most 8 + 2 with 1:
// 30·26 + 10·130 + 20 + 10 = 2110.
func TestFortyStockScaledObjects(t *testing.T) {
	api := forty(t)
	pg := pgtest.Start(t, map[string]string{"max_connections": "50", "superuser_reserved_connections": "3"})
	pgtest.Exec(t, pg, "CREATE ROLE worker LOGIN CONNECTION LIMIT 20", "CREATE ROLE monitor LOGIN", "CREATE DATABASE orders")
	dsn := write(t, pg.DSN("monitor", "orders"))

	r, text, err := run(t, api, audit.Options{DSNFiles: []string{ordersDB + "=" + dsn}})
	if !errors.Is(err, audit.ErrExceeded) {
		t.Errorf("expected that the database can be exceeded, found %v\n%s", err, text)
	}
	if len(r.Databases) != 1 || len(r.Unplaced) != 0 || len(r.Notes) != 0 {
		t.Fatalf("expected one database, every fleet placed, and nothing to note:\n%s", text)
	}
	d := r.Databases[0]
	if d.Name != ordersDB || d.CouldOpen != 2110 || d.Ungoverned != 2110 || d.Assumed != 1300 || d.Verdict != audit.Exceeded || len(d.Consumers) != 42 || d.Problem != "" {
		t.Errorf("found %s: could open %d, %d not governed, %d assumed, by %d: %s %s", d.Name, d.CouldOpen, d.Ungoverned, d.Assumed, len(d.Consumers), d.Verdict, d.Problem)
	}
	limits := map[string]audit.Limit{}
	for _, l := range d.Limits {
		limits[l.Name] = l
	}
	if l := limits["server"]; l.Allows != 47 || l.CouldOpen != 2110 || l.Verdict != audit.Exceeded || l.InUse == nil || *l.InUse != 1 {
		t.Errorf("server: found %+v", l)
	}
	if l := limits["role/worker"]; l.Allows != 20 || l.CouldOpen != 2080 || l.Verdict != audit.Exceeded || l.InUse == nil || *l.InUse != 0 {
		t.Errorf("role/worker: found %+v", l)
	}
	if c := d.Consumers[0]; c.PerPod != 10 || c.PerPodFrom != "assumed" || c.Connections != 130 || c.MaxFrom != "maxReplicaCount" || c.Surge != 3 {
		t.Errorf("found %+v", c)
	}
	if c := d.Consumers[len(d.Consumers)-1]; c.Object.Name != "api" || c.ScaledBy != "api" || c.Replicas != 8 || c.Surge != 2 || c.Connections != 10 {
		t.Errorf("found %+v", c)
	}
	if strings.Contains(text, "hunter2") {
		t.Error("a password is shown")
	}
	onlyRead(t, api, "/configmaps")

	for _, output := range []string{"table", "yaml"} {
		_, text, err = run(t, api, audit.Options{DSNFiles: []string{ordersDB + "=" + dsn}, Output: output, ConnectionsPerPod: 3})
		if !errors.Is(err, audit.ErrExceeded) || strings.Contains(text, "hunter2") {
			t.Errorf("%s: %v\n%s", output, err, text)
		}
		if output == "yaml" {
			if err := yaml.Unmarshal([]byte(text), &r); err != nil || r.Databases[0].CouldOpen != 1200 {
				t.Errorf("%v\n%s", err, text)
			}
			continue
		}
		for _, want := range []string{"could open 1200 connections on server, which allows 47", "ScaledObject billing/fleet-01", "maxReplicaCount, assumed", "Exceeded"} {
			if !strings.Contains(text, want) {
				t.Errorf("expected %q in\n%s", want, text)
			}
		}
	}
}

func TestLimitsThatAreSaid(t *testing.T) {
	api := forty(t)
	r, text, err := run(t, api, audit.Options{MaxConnections: []string{ordersDB + "=2110"}})
	if err != nil || r.Databases[0].Verdict != audit.Fits || r.Databases[0].Limits[0].From != "--max-connections" {
		t.Errorf("%v\n%s", err, text)
	}
	if _, text, err = run(t, api, audit.Options{MaxConnections: []string{ordersDB + "=2109"}}); !errors.Is(err, audit.ErrExceeded) {
		t.Errorf("%v\n%s", err, text)
	}
	r, text, err = run(t, api, audit.Options{MaxConnections: []string{"orders=100"}})
	if err != nil || r.Databases[0].Verdict != audit.Fits || r.Databases[1].Verdict != audit.Unknown || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "no fleet was found that uses orders") {
		t.Errorf("%v\n%s", err, text)
	}
	if _, text, err = run(t, api, audit.Options{Output: "table"}); err != nil || !strings.Contains(text, "what it allows is not known") || !strings.Contains(text, "--max-connections "+ordersDB+"=N") {
		t.Errorf("%v\n%s", err, text)
	}
	// Where reading fails, what was said counts, and the reason is told without the
	// password.
	dsn := write(t, "postgres://monitor:hunter2@127.0.0.1:1/orders")
	r, text, err = run(t, api, audit.Options{DSNFiles: []string{ordersDB + "=" + dsn}, MaxConnections: []string{ordersDB + "=100"}})
	if !errors.Is(err, audit.ErrExceeded) || r.Databases[0].Problem == "" || strings.Contains(text, "hunter2") {
		t.Errorf("%v\n%s", err, text)
	}
	// One namespace has half of the fleets.
	r, text, err = run(t, api, audit.Options{Cluster: kubeflags.Flags{Namespace: "billing"}})
	if err != nil || len(r.Databases) != 1 || r.Databases[0].CouldOpen != 10*26+10*130 {
		t.Errorf("%v\n%s", err, text)
	}
}

const governed = `apiVersion: keda-headroom.github.io/v1alpha1
kind: Policy
databases:
- name: orders-db
  postgresql: {dsn: {secretKeyRef: {name: orders-db-monitor, key: dsn}}}
  allowedNamespaces: [shop]
`

const workers = `apiVersion: keda-headroom.github.io/v1alpha1
kind: Policy
workloads:
- name: fleet-00
  mode: MODE
  databaseRefs: [{name: orders-db, namespace: platform, user: worker, connectionsPerPod: 4}]
  sqs: {queueName: orders, messagesPerPod: 20}
`

// A policy says more than an environment does, and what Headroom holds to a target
// does not exceed anything.
func TestGovernedFleets(t *testing.T) {
	for mode, want := range map[string]audit.Verdict{"Observe": audit.Exceeded, "Target": audit.Governed} {
		api := fakeapi.Start(t)
		trigger := "external-push\n    metadata: {scalerAddress: \"headroom.headroom.svc:6000\", workload: fleet-00}"
		object := stock("shop", "fleet-00", 20)
		if mode == "Target" {
			object, _, _ = strings.Cut(object, "aws-sqs-queue")
			object += trigger
		}
		api.Add(t, object+"\n---\n"+deployment("shop", "fleet-00", 1, `        env: [{name: PGHOST, value: db.example.com}]`)+
			deployment("shop", "web", 2, `        env: [{name: PGHOST, value: DB.example.com.}, {name: POOL_SIZE, value: "5"}]`))
		for at, text := range map[string]string{"platform/databases": governed, "shop/workers": strings.Replace(workers, "MODE", mode, 1)} {
			namespace, name, _ := strings.Cut(at, "/")
			api.Add(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: %s, name: %s, labels: {keda-headroom.github.io/policy: \"true\"}}\ndata: {policy.yaml: %q}\n", namespace, name, text))
		}
		// (20 + 5) · 4 = 100 and (2 + 1) · 5 = 15, on one server by two names.
		r, text, err := run(t, api, audit.Options{MaxConnections: []string{"platform/orders-db=90"}})
		if exceeded := errors.Is(err, audit.ErrExceeded); exceeded != (want == audit.Exceeded) || len(r.Databases) != 1 {
			t.Fatalf("%s: %v\n%s", mode, err, text)
		}
		d := r.Databases[0]
		if d.Name != "db.example.com" || !slices.Equal(d.Policies, []string{"platform/orders-db"}) || d.CouldOpen != 115 || d.Verdict != want || d.Consumers[0].PerPodFrom != "policy" || string(d.Consumers[0].Mode) != mode {
			t.Errorf("%s:\n%s", mode, text)
		}
		if mode == "Target" && d.Ungoverned != 15 {
			t.Errorf("expected the web shop alone not to be governed:\n%s", text)
		}
		onlyRead(t, api)
	}
}

// Behind the gate a rollout's pods wait, whatever scales the fleet; pods that don't
// wait are held by nothing.
func TestGatedFleets(t *testing.T) {
	const env = `        env: [{name: PGHOST, value: db.example.com}]`
	gate := func(object string) string {
		return strings.Replace(object, "template:\n    metadata: {labels: {", "template:\n    metadata: {labels: {keda-headroom.github.io/gate: \"true\", ", 1)
	}
	audited := func(t *testing.T, policy string, objects ...string) audit.Report {
		t.Helper()
		api := fakeapi.Start(t)
		api.Add(t, strings.Join(objects, "\n---\n"))
		for at, text := range map[string]string{"platform/databases": governed, "shop/workers": policy} {
			namespace, name, _ := strings.Cut(at, "/")
			api.Add(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: %s, name: %s, labels: {keda-headroom.github.io/policy: \"true\"}}\ndata: {policy.yaml: %q}\n", namespace, name, text))
		}
		r, text, err := run(t, api, audit.Options{MaxConnections: []string{"platform/orders-db=60"}})
		if err != nil && !errors.Is(err, audit.ErrExceeded) || len(r.Databases) == 0 || len(r.Unplaced) != 0 {
			t.Fatalf("%v\n%s", err, text)
		}
		onlyRead(t, api)
		return r
	}
	gated := strings.Replace(workers, "MODE", "Gate", 1)
	named := func(kind string) string {
		return strings.Replace(strings.Replace(gated, "  sqs: {queueName: orders, messagesPerPod: 20}\n", "", 1), "mode:", "scaleTargetRef: {apiVersion: apps/v1, kind: "+kind+", name: fleet-00}\n  mode:", 1)
	}
	rollout := strings.NewReplacer("apps/v1", "argoproj.io/v1alpha1", "kind: Deployment", "kind: Rollout").Replace(deployment("shop", "fleet-00", 20, env))
	for _, c := range []struct {
		name    string
		policy  string
		objects []string
		could   int
		verdict audit.Verdict
	}{
		{"by KEDA, gated", gated, []string{stock("shop", "fleet-00", 20), gate(deployment("shop", "fleet-00", 1, env))}, 20 * 4, audit.Governed},
		{"by KEDA, not gated", gated, []string{stock("shop", "fleet-00", 20), deployment("shop", "fleet-00", 1, env)}, 25 * 4, audit.Exceeded},
		{"of a fixed size, gated", named("Deployment"), []string{gate(deployment("shop", "fleet-00", 20, env))}, 20 * 4, audit.Governed},
		{"of a fixed size, not gated", named("Deployment"), []string{deployment("shop", "fleet-00", 20, env)}, 25 * 4, audit.Exceeded},
		{"a Rollout, gated", strings.Replace(named("Rollout"), "apps/v1", "argoproj.io/v1alpha1", 1), []string{gate(rollout)}, 20 * 4, audit.Governed},
		{"a Rollout that nobody governs", strings.Replace(gated, "fleet-00", "another", 1), []string{rollout}, 25 * 10, audit.Unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := audited(t, c.policy, c.objects...).Databases[0]
			if d.CouldOpen != c.could || d.Verdict != c.verdict {
				t.Errorf("expected %d and %s, found %+v", c.could, c.verdict, d)
			}
		})
	}
}

// Secrets are read when that is asked for, and give a host and nothing else.
func TestSecrets(t *testing.T) {
	api := fakeapi.Start(t)
	api.Add(t, stock("shop", "fleet", 10)+deployment("shop", "fleet", 1, `        env: [{name: DATABASE_URL, valueFrom: {secretKeyRef: {name: db, key: url}}}]`)+
		stock("shop", "lost", 5)+deployment("shop", "lost", 1, `        envFrom: [{secretRef: {name: gone}}]`))
	// postgres://worker:hunter2@db.example.com/orders
	api.Add(t, "apiVersion: v1\nkind: Secret\nmetadata: {namespace: shop, name: db}\ndata: {url: cG9zdGdyZXM6Ly93b3JrZXI6aHVudGVyMkBkYi5leGFtcGxlLmNvbS9vcmRlcnM=}\n")
	r, text, err := run(t, api, audit.Options{})
	if err != nil || len(r.Databases) != 0 || len(r.Unplaced) != 2 {
		t.Errorf("%v\n%s", err, text)
	}
	onlyRead(t, api)
	r, text, err = run(t, api, audit.Options{ReadSecrets: true})
	if err != nil || len(r.Databases) != 1 || r.Databases[0].Name != "db.example.com" || len(r.Unplaced) != 1 || strings.Contains(text, "hunter2") || r.Databases[0].Consumers[0].User != "" {
		t.Errorf("%v\n%s", err, text)
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "ScaledObject shop/lost: there is no Secret shop/gone") {
		t.Errorf("found %q", r.Notes)
	}
	onlyRead(t, api, "/secrets")
	r, text, err = run(t, api, audit.Options{AssumeDatabase: "db.example.com", Output: ""})
	if err != nil || len(r.Databases) != 1 || len(r.Databases[0].Consumers) != 2 || r.Databases[0].CouldOpen != (13+7)*10 {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestAClusterWithoutKEDA(t *testing.T) {
	api := fakeapi.Start(t)
	api.Absent = []string{"keda.sh/scaledobjects", "keda.sh/scaledjobs"}
	api.Add(t, deployment("shop", "web", 2, `        env: [{name: DATABASE_URL, value: "postgres://localhost/orders"}]`))
	_, text, err := run(t, api, audit.Options{Output: "table"})
	if err != nil || !strings.Contains(text, "KEDA is not installed") || !strings.Contains(text, "No databases were found.") || !strings.Contains(text, "Deployment shop/web: container worker: DATABASE_URL leads to a proxy in its own pod") {
		t.Errorf("%v\n%s", err, text)
	}
	api.Forbidden = []string{"apps/deployments"}
	if _, _, err = run(t, api, audit.Options{}); err == nil || !strings.Contains(err.Error(), "expected permission to list deployments.apps in all namespaces") {
		t.Errorf("unexpected: %v", err)
	}
}

func TestScaledJobs(t *testing.T) {
	api := fakeapi.Start(t)
	api.Add(t, `apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata: {namespace: shop, name: reports}
spec:
  triggers: [{type: aws-sqs-queue, metadata: {}}]
  jobTargetRef:
    parallelism: 2
    template:
      spec:
        containers:
        - {name: a, image: i, env: [{name: PGHOST, value: db}, {name: POOL_SIZE, value: "2"}]}
        - {name: b, image: i, env: [{name: PGHOST, value: db}, {name: POOL_SIZE, value: "1"}]}
`)
	r, text, err := run(t, api, audit.Options{})
	if err != nil || len(r.Databases) != 1 || r.Databases[0].CouldOpen != 100*2*3 || r.Databases[0].Consumers[0].MaxFrom != "KEDA's default x parallelism" || r.Databases[0].Consumers[0].PerPodFrom != "POOL_SIZE + POOL_SIZE" {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestWrongOptions(t *testing.T) {
	err := audit.Options{
		Output: "xml", DSNFiles: []string{"postgres://u:hunter2@db/x?a=b", "db"}, MaxConnections: []string{"db=many"},
		DSNEnvironment: []string{"db=postgres://u:hunter2@db/x"}, Cluster: kubeflags.Flags{Namespace: "a", AllNamespaces: true},
	}.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 6 || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("expected seven mistakes and no password, found:\n%v", err)
	}
}
