package cluster

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// KEDANamespace is where KEDA's manifests put it.
const KEDANamespace = "keda"

const (
	operatorAuthority = "keda-operator.keda.svc.cluster.local" // as the adapter knows the operator
	adapterService    = "keda-metrics-apiserver"
	metricsAPI        = "/apis/external.metrics.k8s.io/v1beta1"
	webhooksURL       = "https://%s%s"
)

// startKEDA applies KEDA's manifests but for what would run there as pods, and runs
// that here, under KEDA's own ServiceAccount.
func (c *Cluster) startKEDA(ctx context.Context, p ports) error {
	objects, err := Kustomize(filepath.Join(c.options.Binaries.KEDAConfig, "default"))
	if err != nil {
		return err
	}
	manifests := sortKEDA(objects)
	if err := c.ApplyObjects(ctx, manifests.plain...); err != nil {
		return err
	}
	kubeconfig, err := c.ServiceAccountKubeconfig(ctx, KEDANamespace, "keda-operator")
	if err != nil {
		return err
	}
	certificates, err := c.kedaCertificates()
	if err != nil {
		return err
	}
	keda := kedaRun{kubeconfig: kubeconfig, certificates: certificates}
	operator, adapter, webhooks := c.kedaOperator(p, keda), c.kedaAdapter(p, keda), c.kedaWebhooks(p, keda)
	c.add(operator, adapter, webhooks)
	if err := atOnce(
		func() error { return operator.Start(ctx) },
		func() error { return adapter.Start(ctx) },
		func() error { return webhooks.Start(ctx) },
	); err != nil {
		return err
	}
	if err := c.aggregate(ctx, manifests.apiService, p.adapter); err != nil {
		return err
	}
	return c.admit(ctx, manifests.admission, p.webhooks)
}

// kedaManifests are KEDA's, by what becomes of them.
type kedaManifests struct {
	plain                 []*unstructured.Unstructured
	apiService, admission *unstructured.Unstructured // have to name our addresses
}

func sortKEDA(objects []*unstructured.Unstructured) kedaManifests {
	var m kedaManifests
	for _, object := range objects {
		switch object.GetKind() {
		case "Deployment", "Service": // run here, not in pods
		case "APIService":
			m.apiService = object
		case "ValidatingWebhookConfiguration":
			m.admission = object
		default:
			m.plain = append(m.plain, object)
		}
	}
	return m
}

// kedaRun is what KEDA's programs have in common.
type kedaRun struct{ kubeconfig, certificates string }

// kedaCertificates is a directory with the names that KEDA expects.
func (c *Cluster) kedaCertificates() (string, error) {
	issued, err := c.authority.issue("keda", nil, operatorAuthority,
		adapterService+"."+KEDANamespace+".svc", "localhost", loopback)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(c.dir, "keda")
	for name, path := range map[string]string{
		"ca.crt": c.authority.path, "tls.crt": issued.certificate, "tls.key": issued.key,
	} {
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func (c *Cluster) kedaComponent(name, program string, keda kedaRun, args []string, ready func(context.Context) error) *Component {
	component := c.component(name, program, args, ready)
	// Where several triggers fail at once and there is a fallback, goroutines of KEDA 2.21's
	// operator copy and change one ScaledObject, and now and then it panics.
	component.restarts = 3
	component.env = []string{
		"KUBECONFIG=" + keda.kubeconfig,
		"POD_NAMESPACE=" + KEDANamespace,
		"KEDA_CLUSTER_OBJECT_NAMESPACE=" + KEDANamespace,
		"WATCH_NAMESPACE=", // all
	}
	return component
}

func (c *Cluster) kedaOperator(p ports, keda kedaRun) *Component {
	return c.kedaComponent("keda-operator", c.options.Binaries.Operator, keda, []string{
		"--zap-log-level=info", "--zap-encoder=console", "--zap-time-encoding=rfc3339nano",
		"--cert-dir=" + keda.certificates,
		// Certificates are ours, and so are the objects that name them.
		"--enable-cert-rotation=false",
		"--enable-webhook-patching=false",
		"--enable-apiservice-patching=false",
		"--ca-dir=" + keda.certificates,
		"--metrics-bind-address=" + address(p.operatorMetrics),
		"--health-probe-bind-address=" + address(p.operatorProbe),
		"--metrics-service-bind-address=" + address(p.operatorService),
	}, c.answers("http://"+address(p.operatorProbe)+"/readyz"))
}

func (c *Cluster) kedaAdapter(p ports, keda kedaRun) *Component {
	return c.kedaComponent(adapterService, c.options.Binaries.Adapter, keda, []string{
		"--zap-log-level=info", "--zap-encoder=console", "--zap-time-encoding=rfc3339nano",
		"--lister-kubeconfig=" + keda.kubeconfig,
		"--authentication-kubeconfig=" + keda.kubeconfig,
		"--authorization-kubeconfig=" + keda.kubeconfig,
		"--client-ca-file=" + c.authority.path,
		"--cert-dir=" + keda.certificates,
		"--tls-cert-file=" + filepath.Join(keda.certificates, "tls.crt"),
		"--tls-private-key-file=" + filepath.Join(keda.certificates, "tls.key"),
		"--bind-address=" + loopback,
		"--secure-port=" + strconv.Itoa(p.adapter),
		"--port=" + strconv.Itoa(p.adapterMetrics),
		"--metrics-service-address=" + address(p.operatorService),
		"--metrics-service-grpc-authority=" + operatorAuthority,
	}, c.answers("https://"+address(p.adapter)+"/readyz"))
}

func (c *Cluster) kedaWebhooks(p ports, keda kedaRun) *Component {
	return c.kedaComponent("keda-admission-webhooks", c.options.Binaries.Webhooks, keda, []string{
		"--zap-log-level=info", "--zap-encoder=console", "--zap-time-encoding=rfc3339nano",
		"--cert-dir=" + keda.certificates,
		"--port=" + strconv.Itoa(p.webhooks),
		"--metrics-bind-address=" + address(p.webhooksMetrics),
		"--health-probe-bind-address=" + address(p.webhooksProbe),
	}, c.answers("http://"+address(p.webhooksProbe)+"/readyz"))
}

// aggregate makes the API server pass requests for external metrics on to the adapter.
// It finds an ExternalName without endpoints and without a network of Services.
func (c *Cluster) aggregate(ctx context.Context, apiService *unstructured.Unstructured, port int) error {
	service := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Service",
		"metadata": map[string]any{"namespace": KEDANamespace, "name": adapterService},
		"spec":     map[string]any{"type": "ExternalName", "externalName": "localhost"},
	}}
	for field, value := range map[string]any{
		"service":  map[string]any{"namespace": KEDANamespace, "name": adapterService, "port": int64(port)},
		"caBundle": base64.StdEncoding.EncodeToString(c.authority.pem),
	} {
		if err := unstructured.SetNestedField(apiService.Object, value, "spec", field); err != nil {
			return err
		}
	}
	unstructured.RemoveNestedField(apiService.Object, "spec", "insecureSkipTLSVerify")
	if err := c.ApplyObjects(ctx, service, apiService); err != nil {
		return err
	}
	return waitFor(ctx, "the API server to serve external metrics", func(ctx context.Context) (bool, error) {
		_, err := c.client.Discovery().RESTClient().Get().AbsPath(metricsAPI).DoRaw(ctx)
		return err == nil, err
	})
}

// admit makes the API server ask KEDA's webhooks, at their address.
func (c *Cluster) admit(ctx context.Context, admission *unstructured.Unstructured, port int) error {
	hooks, _, err := unstructured.NestedSlice(admission.Object, "webhooks")
	if err != nil {
		return err
	}
	for _, hook := range hooks {
		hook := hook.(map[string]any)
		path, _, err := unstructured.NestedString(hook, "clientConfig", "service", "path")
		if err != nil {
			return err
		}
		hook["clientConfig"] = map[string]any{
			"url":      fmt.Sprintf(webhooksURL, address(port), path),
			"caBundle": base64.StdEncoding.EncodeToString(c.authority.pem),
		}
	}
	if err := unstructured.SetNestedSlice(admission.Object, hooks, "webhooks"); err != nil {
		return err
	}
	return c.ApplyObjects(ctx, admission)
}
