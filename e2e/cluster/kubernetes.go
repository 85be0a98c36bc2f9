package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// controllers of kube-controller-manager: those that act on what Headroom and KEDA
// touch, or that others need to.
var controllers = []string{
	"clusterrole-aggregation-controller",
	"cronjob-controller",
	"deployment-controller",
	"disruption-controller",
	"endpoints-controller",
	"endpointslice-controller",
	"garbage-collector-controller",
	"horizontal-pod-autoscaler-controller",
	"job-controller",
	"namespace-controller",
	"node-lifecycle-controller",
	"pod-garbage-collector-controller",
	"replicaset-controller",
	"root-ca-certificate-publisher-controller",
	"serviceaccount-controller",
	"serviceaccount-token-controller",
	"statefulset-controller",
	"taint-eviction-controller",
	"ttl-after-finished-controller",
	"validatingadmissionpolicy-status-controller",
}

// component is one of the programs in the control plane's binary.
func (c *Cluster) component(name, program string, args []string, ready func(context.Context) error) *Component {
	return &Component{
		name: name, program: program,
		args:  append(args, c.options.Flags[name]...),
		log:   filepath.Join(c.dir, "logs", name+".log"),
		ready: ready, ended: c.ended,
	}
}

func (c *Cluster) etcd(p ports) (*Component, error) {
	client, peer := "http://"+address(p.etcd), "http://"+address(p.etcdPeer)
	const name = "e2e"
	content, err := yaml.Marshal(map[string]any{
		"name":                        name,
		"data-dir":                    filepath.Join(c.dir, "etcd", "data"),
		"listen-client-urls":          client,
		"advertise-client-urls":       client,
		"listen-peer-urls":            peer,
		"initial-advertise-peer-urls": peer,
		"initial-cluster":             name + "=" + peer,
		"unsafe-no-fsync":             true, // nobody needs the data after us
		"log-level":                   "warn",
		// Each request counts as slow where the file doesn't say what is.
		"warning-unary-request-duration": time.Second.Nanoseconds(),
	})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(c.dir, "etcd", "config.yaml")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return nil, err
	}
	return c.component("etcd", c.options.Binaries.ControlPlane,
		[]string{"etcd", "--config-file=" + file}, c.answers(client+"/health")), nil
}

func (c *Cluster) apiServer(p ports, k keys) *Component {
	return c.component("kube-apiserver", c.options.Binaries.ControlPlane, slices.Concat([]string{
		"kube-apiserver",
		"--etcd-servers=http://" + address(p.etcd),
		"--bind-address=" + loopback,
		"--advertise-address=" + loopback,
		"--secure-port=" + strconv.Itoa(p.apiServer),
		"--tls-cert-file=" + k.serving.certificate,
		"--tls-private-key-file=" + k.serving.key,
		"--client-ca-file=" + c.authority.path,
		"--authorization-mode=RBAC",
		"--service-account-issuer=" + c.server,
		"--service-account-signing-key-file=" + k.accountsPrivate,
		"--service-account-key-file=" + k.accountsPublic,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--endpoint-reconciler-type=none",
		"--requestheader-client-ca-file=" + k.frontProxyAuthority,
		"--requestheader-allowed-names=" + frontProxyClient,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + k.frontProxy.certificate,
		"--proxy-client-key-file=" + k.frontProxy.key,
		"--profiling=false",
	}, c.options.versionFlags()), func(ctx context.Context) error {
		_, err := c.client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err
	})
}

func (c *Cluster) controllerManager(p ports, k keys) (*Component, error) {
	const name = "kube-controller-manager"
	kubeconfig, err := c.userKubeconfig(name, "system:"+name)
	if err != nil {
		return nil, err
	}
	return c.component(name, c.options.Binaries.ControlPlane, slices.Concat([]string{
		name,
		"--kubeconfig=" + kubeconfig,
		"--controllers=" + strings.Join(controllers, ","),
		// Each controller has the rights of its own role, as in other clusters.
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + k.accountsPrivate,
		"--root-ca-file=" + c.authority.path,
		"--profiling=false",
	}, k.listen(p.controllerManager), c.options.hpaFlags(), c.options.versionFlags()),
		c.answers(fmt.Sprintf("https://%s/healthz", address(p.controllerManager)))), nil
}

func (c *Cluster) scheduler(p ports, k keys) (*Component, error) {
	const name = "kube-scheduler"
	kubeconfig, err := c.userKubeconfig(name, "system:"+name)
	if err != nil {
		return nil, err
	}
	return c.component(name, c.options.Binaries.ControlPlane, slices.Concat([]string{
		name, "--kubeconfig=" + kubeconfig, "--profiling=false",
	}, k.listen(p.scheduler), c.options.versionFlags()),
		c.answers(fmt.Sprintf("https://%s/readyz", address(p.scheduler)))), nil
}

// listen are the flags of a component that is the only one of its kind.
func (k keys) listen(port int) []string {
	return []string{
		"--leader-elect=false",
		"--bind-address=" + loopback,
		"--secure-port=" + strconv.Itoa(port),
		"--tls-cert-file=" + k.serving.certificate,
		"--tls-private-key-file=" + k.serving.key,
	}
}
