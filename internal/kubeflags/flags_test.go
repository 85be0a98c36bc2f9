package kubeflags_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/keda-headroom/headroom/internal/kubeflags"
)

const kubeconfig = `apiVersion: v1
kind: Config
current-context: first
clusters:
- {name: a, cluster: {server: https://a.example:6443}}
- {name: b, cluster: {server: https://b.example:6443}}
contexts:
- {name: first, context: {cluster: a, user: u, namespace: shop}}
- {name: second, context: {cluster: b, user: u}}
users:
- {name: u, user: {}}
`

func parse(t *testing.T, args ...string) kubeflags.Flags {
	t.Helper()
	f := kubeflags.Flags{RequestTimeout: kubeflags.DefaultTimeout}
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	f.AddCluster(set)
	f.AddNamespaces(set, "namespace to look at")
	f.AddTimeout(set)
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFlags(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", path)
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for _, c := range []struct {
		args            []string
		host, namespace string
		given           bool
	}{
		{nil, "https://a.example:6443", "shop", false},
		{[]string{"--kubeconfig", path}, "https://a.example:6443", "shop", true},
		{[]string{"--context", "second"}, "https://b.example:6443", "default", true},
		{[]string{"-n", "billing"}, "https://a.example:6443", "billing", true},
		{[]string{"-A"}, "https://a.example:6443", "", true},
	} {
		f := parse(t, append(c.args, "--request-timeout", "7s")...)
		config, err := f.Config()
		if err != nil {
			t.Fatal(err)
		}
		namespace, err := f.Where()
		if err != nil || config.Host != c.host || namespace != c.namespace || f.Given() != c.given || config.Timeout != 7*time.Second {
			t.Errorf("%q: found %s, %q, given %t, %s, %v", c.args, config.Host, namespace, f.Given(), config.Timeout, err)
		}
		if err := f.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestWrongFlags(t *testing.T) {
	if err := parse(t, "-n", "shop", "-A").Validate(); err == nil || !strings.Contains(err.Error(), "found both") {
		t.Errorf("unexpected: %v", err)
	}
	if err := parse(t, "--request-timeout", "-1s").Validate(); err == nil {
		t.Error("expected an error")
	}
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := parse(t, "--kubeconfig", missing).Config(); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("unexpected: %v", err)
	}
	if _, err := parse(t, "--kubeconfig", missing).Where(); err == nil {
		t.Error("expected an error")
	}
}
