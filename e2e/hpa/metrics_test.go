package hpa_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/keda-headroom/headroom/e2e/cluster"
)

const metricsPath = "/apis/external.metrics.k8s.io/v1beta1"

// serveMetrics stands in for KEDA's adapter: the value of the metric "m8999" is
// 8999 thousandths.
func serveMetrics(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer(r.URL.Path)) // whoever asked went away
	}))
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Apply(t.Context(), fmt.Appendf(nil, `
apiVersion: v1
kind: Namespace
metadata: {name: metrics}
---
apiVersion: v1
kind: Service
metadata: {namespace: metrics, name: metrics}
spec: {type: ExternalName, externalName: localhost, ports: [{port: %s}]}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.external.metrics.k8s.io}
spec:
  group: external.metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {namespace: metrics, name: metrics, port: %s}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: read-external-metrics}
rules:
- {apiGroups: [external.metrics.k8s.io], resources: ["*"], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: read-external-metrics}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: read-external-metrics}
subjects: [{kind: ServiceAccount, namespace: kube-system, name: horizontal-pod-autoscaler}]
`, at.Port(), at.Port())); err != nil {
		t.Fatal(err)
	}
}

func answer(path string) any {
	rest, ok := strings.CutPrefix(path, metricsPath+"/")
	if !ok {
		return map[string]any{
			"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "external.metrics.k8s.io/v1beta1",
			"resources": []any{},
		}
	}
	_, name, _ := strings.Cut(strings.TrimPrefix(rest, "namespaces/"), "/")
	return map[string]any{
		"kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "metadata": map[string]any{},
		"items": []any{map[string]any{
			"metricName": name, "metricLabels": map[string]any{},
			"timestamp": "2026-01-01T00:00:00Z", "value": strings.TrimPrefix(name, "m") + "m",
		}},
	}
}
