package tests

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	disruption "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"

	"github.com/keda-headroom/headroom/scaler/leader"
)

// flags are those of headroom serve with their defaults, as docs/commands.md has
// them, which a test of the program holds to its help.
func flags(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	_, serve, _ := strings.Cut(string(page), "\n## headroom serve\n")
	serve, _, _ = strings.Cut(serve, "\n## ")
	out := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| .*?`(--[a-z0-9-]+)` \\|(.*?)\\|").FindAllStringSubmatch(serve, -1) {
		out[row[1]] = strings.Trim(row[2], " `")
	}
	if len(out) < 10 {
		t.Fatalf("docs/commands.md: only %d flags of serve", len(out))
	}
	return out
}

// args are the arguments of a Deployment's only container, by flag.
func args(t *testing.T, all objects) map[string]string {
	t.Helper()
	container := get[*apps.Deployment](t, all, "Deployment headroom/headroom").Spec.Template.Spec.Containers[0]
	if len(container.Args) == 0 || container.Args[0] != "serve" {
		t.Fatalf("expected serve first, found %v", container.Args)
	}
	out := map[string]string{}
	for _, a := range container.Args[1:] {
		name, value, _ := strings.Cut(a, "=")
		if _, ok := out[name]; ok {
			t.Errorf("%s is given twice", name)
		}
		out[name] = value
	}
	return out
}

func TestArgumentsAreFlagsOfServe(t *testing.T) {
	known := flags(t)
	for _, directory := range []string{"base", "examples/overlay"} {
		for name := range args(t, build(t, directory)) {
			if _, ok := known[name]; !ok {
				t.Errorf("%s: %s is no flag of headroom serve", directory, name)
			}
		}
	}
}

// What is asked of the container, its namespace enforces.
func TestThePodIsRestricted(t *testing.T) {
	base := build(t, "base")
	if level := get[*core.Namespace](t, base, "Namespace /headroom").Labels["pod-security.kubernetes.io/enforce"]; level != "restricted" {
		t.Errorf("the namespace enforces %q", level)
	}
	spec := get[*apps.Deployment](t, base, "Deployment headroom/headroom").Spec.Template.Spec
	pod, container := spec.SecurityContext, spec.Containers[0].SecurityContext
	yes, no, uid := true, false, int64(65532)
	want := core.PodSecurityContext{
		RunAsNonRoot: &yes, RunAsUser: &uid, RunAsGroup: &uid, FSGroup: &uid,
		SeccompProfile: &core.SeccompProfile{Type: core.SeccompProfileTypeRuntimeDefault},
	}
	if diff := cmp.Diff(want, *pod); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(core.SecurityContext{
		AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Capabilities: &core.Capabilities{Drop: []core.Capability{"ALL"}},
	}, *container); diff != "" {
		t.Error(diff)
	}
	if len(spec.Containers) != 1 || spec.HostNetwork || spec.HostPID || spec.HostIPC {
		t.Error("there is more than a container of its own")
	}
	for _, v := range spec.Volumes {
		if v.HostPath != nil {
			t.Errorf("volume %s is of the host", v.Name)
		}
	}
}

// Everything that refers to something finds it.
func TestPortsProbesAndServicesAgree(t *testing.T) {
	base := build(t, "base")
	deployment := get[*apps.Deployment](t, base, "Deployment headroom/headroom")
	template, container := deployment.Spec.Template, deployment.Spec.Template.Spec.Containers[0]
	given := args(t, base)
	ports := map[string]int32{}
	for _, p := range container.Ports {
		ports[p.Name] = p.ContainerPort
	}
	if diff := cmp.Diff(map[string]int32{"grpc": 6000, "http": 8080}, ports); diff != "" {
		t.Error(diff)
	}
	if given["--grpc-address"] != ":6000" || given["--http-address"] != ":8080" {
		t.Errorf("it listens on %v", given)
	}
	for path, probe := range map[string]*core.Probe{"/livez": container.LivenessProbe, "/readyz": container.ReadinessProbe} {
		if probe.HTTPGet.Path != path || probe.HTTPGet.Port.StrVal != "http" {
			t.Errorf("%s: %v", path, probe.HTTPGet)
		}
	}
	service := get[*core.Service](t, base, "Service headroom/headroom")
	served := map[string]int32{}
	for _, p := range service.Spec.Ports {
		served[p.Name] = p.Port
		if p.TargetPort.StrVal != p.Name {
			t.Errorf("%v leads to another port", p)
		}
	}
	if diff := cmp.Diff(ports, served); diff != "" {
		t.Error(diff)
	}
	published := maps.Clone(template.Labels)
	published[leader.Label] = "true"
	if diff := cmp.Diff(service.Spec.Selector, published); diff != "" {
		t.Errorf("selected (-), labels of the leader's pod (+):\n%s", diff)
	}
	mounted := map[string]bool{}
	for _, m := range container.VolumeMounts {
		mounted[m.MountPath] = true
	}
	if dir := given["--recording-dir"]; !mounted[dir] {
		t.Errorf("nothing is mounted at %s, and nothing else can be written to", dir)
	}
	grace := time.Duration(*template.Spec.TerminationGracePeriodSeconds) * time.Second
	if timeout, err := time.ParseDuration(given["--shutdown-timeout"]); err != nil || timeout+5*time.Second > grace {
		t.Errorf("%v of %v to end calls leaves too little for the rest (%v)", timeout, grace, err)
	}
}

// One leads, another one is ready to, and neither a rollout nor a drain waits for
// anything but a second pod.
func TestTwoReplicas(t *testing.T) {
	base := build(t, "base")
	deployment := get[*apps.Deployment](t, base, "Deployment headroom/headroom")
	if *deployment.Spec.Replicas != 2 {
		t.Errorf("%d replicas", *deployment.Spec.Replicas)
	}
	rolling := deployment.Spec.Strategy.RollingUpdate
	if rolling == nil || rolling.MaxSurge.IntVal != 1 || rolling.MaxUnavailable.IntVal != 0 {
		t.Errorf("a rollout is %+v", deployment.Spec.Strategy)
	}
	budget := get[*disruption.PodDisruptionBudget](t, base, "PodDisruptionBudget headroom/headroom")
	if budget.Spec.MaxUnavailable == nil || budget.Spec.MaxUnavailable.IntVal != 1 || !cmp.Equal(budget.Spec.Selector, deployment.Spec.Selector) {
		t.Errorf("the budget is %+v", budget.Spec)
	}
	spread := deployment.Spec.Template.Spec.TopologySpreadConstraints
	if len(spread) == 0 {
		t.Error("both may run on one node though there are others")
	}
	for _, s := range spread {
		if s.WhenUnsatisfiable != core.ScheduleAnyway || !cmp.Equal(s.LabelSelector, deployment.Spec.Selector) {
			t.Errorf("spread by %+v", s)
		}
	}
	// The pod labels itself, by its name.
	if !slices.ContainsFunc(deployment.Spec.Template.Spec.Containers[0].Env, func(e core.EnvVar) bool {
		return e.Name == "POD_NAME" && e.ValueFrom.FieldRef.FieldPath == "metadata.name"
	}) {
		t.Error("the pod is not told its name")
	}
	for flag, value := range args(t, base) {
		if strings.HasPrefix(flag, "--leader-elect") {
			t.Errorf("%s is %q", flag, value)
		}
	}
}

func TestTLSFilesAreMounted(t *testing.T) {
	all := build(t, "examples/overlay")
	spec := get[*apps.Deployment](t, all, "Deployment headroom/headroom").Spec.Template.Spec
	given := args(t, all)
	for flag, file := range map[string]string{"--tls-cert-file": "tls.crt", "--tls-key-file": "tls.key", "--tls-client-ca-file": "ca.crt"} {
		if given[flag] != "/etc/headroom/tls/"+file {
			t.Errorf("%s is %q", flag, given[flag])
		}
	}
	found := false
	for _, m := range spec.Containers[0].VolumeMounts {
		for _, v := range spec.Volumes {
			found = found || m.MountPath == "/etc/headroom/tls" && m.SubPath == "" && m.Name == v.Name && v.Secret.SecretName == "headroom-tls"
		}
	}
	if !found {
		t.Error("the Secret is not mounted as a whole; a subPath would never be renewed")
	}
}

// The image is the one that Dockerfile makes, at a release that is named.
func TestTheImage(t *testing.T) {
	image := get[*apps.Deployment](t, build(t, "base"), "Deployment headroom/headroom").Spec.Template.Spec.Containers[0].Image
	if !regexp.MustCompile(`^ghcr\.io/keda-headroom/headroom:v\d+\.\d+\.\d+$`).MatchString(image) {
		t.Errorf("the image is %s", image)
	}
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var stages []string
	user, entry := "", ""
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case words[0] == "FROM":
			from := words[1]
			if strings.HasPrefix(from, "--platform") {
				from = words[2]
			}
			stages = append(stages, from)
		case words[0] == "USER":
			user = words[1]
		case words[0] == "ENTRYPOINT":
			entry = words[1]
		}
	}
	module, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(string(module))[1]
	if len(stages) != 2 || !strings.HasPrefix(stages[0], "golang:"+version+"-") {
		t.Errorf("expected Go %s to build with, and another stage, found %v", version, stages)
	}
	if last := stages[len(stages)-1]; !regexp.MustCompile(`^gcr\.io/distroless/static-debian\d+:nonroot$`).MatchString(last) {
		t.Errorf("it runs on %s", last)
	}
	if user != "65532:65532" || entry != `["/headroom"]` {
		t.Errorf("it runs %s as %s", entry, user)
	}
}

// What is told of kustomize by the comments and docs is not out of date: the
// release that they name is the one of the base.
func TestOneRelease(t *testing.T) {
	text, err := os.ReadFile("../base/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var base struct {
		Images []struct{ NewTag string }
	}
	if err := yaml.Unmarshal(text, &base); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"../examples/overlay/kustomization.yaml", "../../docs/install.md", "../../Dockerfile", "../../README.md"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range regexp.MustCompile(`(?:\?ref=|headroom:|VERSION=)(v\d\S*?)[\s"'`+"`"+`]`).FindAllStringSubmatch(string(text), -1) {
			if tag[1] != base.Images[0].NewTag {
				t.Errorf("%s names %s, the base is %s", path, tag[1], base.Images[0].NewTag)
			}
		}
	}
}

// What is scraped is the Service's port, with our own labels kept.
func TestTheServiceMonitorFindsTheService(t *testing.T) {
	all := build(t, "examples/overlay")
	monitor := get[*monitoring.ServiceMonitor](t, all, "ServiceMonitor headroom/headroom")
	service := get[*core.Service](t, all, "Service headroom/headroom")
	for key, value := range monitor.Spec.Selector.MatchLabels {
		if service.Labels[key] != value {
			t.Errorf("the Service's label %s is %q, looked for is %q", key, service.Labels[key], value)
		}
	}
	e := monitor.Spec.Endpoints[0]
	if !slices.ContainsFunc(service.Spec.Ports, func(p core.ServicePort) bool { return p.Name == e.Port && e.Port == "http" }) {
		t.Errorf("port %q is not the Service's", e.Port)
	}
	if !e.HonorLabels || e.Path != "/metrics" || service.Labels[monitor.Spec.JobLabel] != "headroom" {
		t.Errorf("%+v", e)
	}
}
