package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/keda-headroom/headroom/cmd/headroom/audit"
	"github.com/keda-headroom/headroom/internal/inventory"
)

// auditor may list what audit looks at, and nothing else.
const auditor = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: auditor, namespace: $NAMESPACE}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: auditor}
rules:
- {apiGroups: [keda.sh], resources: [scaledobjects, scaledjobs], verbs: [list]}
- {apiGroups: [autoscaling], resources: [horizontalpodautoscalers], verbs: [list]}
- {apiGroups: [apps], resources: [deployments, statefulsets, daemonsets], verbs: [list]}
- {apiGroups: [""], resources: [services], verbs: [list]}
- {apiGroups: [""], resources: [configmaps], verbs: [get, list]}
- {apiGroups: [argoproj.io], resources: [rollouts], verbs: [list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: auditor}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: auditor}
subjects: [{kind: ServiceAccount, name: auditor, namespace: $NAMESPACE}]
`

// stockDeployment is one of forty, each with an environment of its own.
const stockDeployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: $FLEET, namespace: $NAMESPACE}
spec:
  replicas: 0
  selector: {matchLabels: {app: $FLEET}}
  strategy: {rollingUpdate: {maxSurge: $SURGE, maxUnavailable: 1}}
  template:
    metadata: {labels: {app: $FLEET}}
    spec:
      containers:
      - name: worker
        image: registry.example.com/worker
        env:
        - {name: DATABASE_URL, value: "$URL"}
        - {name: DB_POOL_SIZE, value: "$POOL"}
`

// TestAuditOfFortyFleetsIsRightAndChangesNothing compares what audit says with the
// sum of what was applied, and everything before with everything after.
func TestAuditOfFortyFleetsIsRightAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const fleets, elsewhere = 40, "stock-db.example.com"
	// A database behind a Service has several names, and is one.
	here := "orders-db." + s.namespace + ".svc"
	names := []string{"orders-db", "orders-db." + s.namespace, here, here + ".cluster.local"}
	want := map[string]map[string]int{here: {}, elsewhere: {}}
	var manifests []string
	for i := range fleets {
		name := fmt.Sprintf("fleet-%02d", i)
		most, pool, surge := 1+i%7, 1+i%5, i%3
		url, on := "postgres://worker@"+names[i%len(names)]+"/orders", here
		if i%10 == 9 {
			url, on = "postgres://worker@"+elsewhere+"/stock", elsewhere
		}
		want[on][name] = (most + surge) * pool
		manifests = append(manifests,
			s.fill(stockDeployment, "FLEET", name, "SURGE", strconv.Itoa(surge), "URL", url, "POOL", strconv.Itoa(pool)),
			s.fill(stock, "FLEET", name, "POLL", "30", "MAXREPLICAS", strconv.Itoa(most), "QUEUE", s.queue("stock"), "LENGTH", "5"))
	}
	s.apply(strings.Join(manifests, "\n---\n"))
	s.apply(s.fill(`{apiVersion: v1, kind: Service, metadata: {name: orders-db, namespace: $NAMESPACE}, spec: {ports: [{port: 5432}]}}`))
	s.apply(s.fill(auditor))
	for i := range fleets {
		s.condition(fmt.Sprintf("fleet-%02d", i), "Ready", "True")
	}
	kubeconfig, err := s.ServiceAccountKubeconfig(t.Context(), s.namespace, "auditor")
	if err != nil {
		t.Fatal(err)
	}

	// KEDA may write a status at any time: a round that it spoils is none.
	var report audit.Report
	s.wait("an audit that nobody else writes beside", func(ctx context.Context) (bool, error) {
		before := s.versions()
		report = s.audit(ctx, kubeconfig, here)
		diff := cmp.Diff(before, s.versions())
		return diff == "", fmt.Errorf("objects changed (-before +after):\n%s", diff)
	})

	if len(report.Databases) != len(want) || len(report.Unplaced) > 0 {
		t.Fatalf("found %d databases and %d fleets without one, want %d and none: %+v", len(report.Databases), len(report.Unplaced), len(want), report)
	}
	for _, d := range report.Databases {
		got, sum := map[string]int{}, 0
		for _, c := range d.Consumers {
			got[c.Object.Name] = c.Connections
		}
		for _, n := range want[d.Name] {
			sum += n
		}
		if diff := cmp.Diff(want[d.Name], got); diff != "" {
			t.Errorf("%s: connections by fleet (-want +got):\n%s", d.Name, diff)
		}
		if d.CouldOpen != sum || d.Ungoverned != sum || d.Assumed != 0 {
			t.Errorf("%s: could open %d, %d of them ungoverned and %d assumed; want %d, all and none", d.Name, d.CouldOpen, d.Ungoverned, d.Assumed, sum)
		}
		verdict := audit.Unknown
		if d.Name == here {
			verdict = audit.Exceeded
			if len(d.Limits) == 0 || d.Limits[0].Allows != maxConnections-3 || d.Limits[0].InUse == nil {
				t.Errorf("%s: limits %+v, want the server's, of %d", d.Name, d.Limits, maxConnections-3)
			}
		}
		if d.Verdict != verdict {
			t.Errorf("%s: %s, want %s", d.Name, d.Verdict, verdict)
		}
	}
}

// audit runs the command for the site's namespace, as somebody who may only read.
func (s *site) audit(ctx context.Context, kubeconfig, database string) (report audit.Report) {
	s.t.Helper()
	command := exec.CommandContext(ctx, s.program, "audit", "--kubeconfig", kubeconfig, "-n", s.namespace, "-o", "json", "--dsn-env", database+"=AUDIT_DSN")
	command.Env = append(command.Environ(), "AUDIT_DSN="+s.database.DSN("headroom", "postgres"))
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || stderr.Len() > 0 {
		s.t.Fatalf("audit ended with %v, want 1 for a database that can be exceeded, and says %q:\n%s", err, stderr.String(), out)
	}
	if err := json.Unmarshal(out, &report); err != nil {
		s.t.Fatal(err)
	}
	return report
}

// versions are the resourceVersions of everything in the site that anybody could
// change.
func (s *site) versions() map[string]string {
	s.t.Helper()
	out := map[string]string{}
	resources := append([]schema.GroupVersionResource{
		inventory.Services, inventory.Policies, {Version: "v1", Resource: "secrets"}, {Version: "v1", Resource: "pods"},
		{Version: "v1", Resource: "serviceaccounts"}, {Group: "apps", Version: "v1", Resource: "replicasets"},
		{Group: "keda.sh", Version: "v1alpha1", Resource: "triggerauthentications"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "roles"}, {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "rolebindings"},
	}, inventoryOf...)
	for _, resource := range resources {
		list, err := s.Dynamic().Resource(resource).Namespace(s.namespace).List(s.t.Context(), metav1.ListOptions{})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, item := range list.Items {
			out[item.GetKind()+"/"+item.GetName()] = item.GetResourceVersion()
		}
	}
	return out
}
