package kubeflags

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// DefaultTimeout bounds one request of a command.
const DefaultTimeout = 30 * time.Second

// Flags choose a cluster and namespaces in it. The zero value is the cluster that
// kubectl speaks to, or the one around this pod.
type Flags struct {
	// Kubeconfig is a file; "" is what KUBECONFIG names, else ~/.kube/config, else
	// the pod's own ServiceAccount.
	Kubeconfig string
	// Context is one of the file's contexts, "" the current one.
	Context string
	// Namespace is the one to look at, "" the context's. AllNamespaces looks at
	// every one.
	Namespace     string
	AllNamespaces bool
	// RequestTimeout bounds one request; 0 does not.
	RequestTimeout time.Duration
}

// AddCluster adds --kubeconfig and --context.
func (f *Flags) AddCluster(flags *pflag.FlagSet) {
	flags.StringVar(&f.Kubeconfig, "kubeconfig", f.Kubeconfig, "file that says how to reach the cluster; left out, what KUBECONFIG names, else ~/.kube/config, else the pod's own ServiceAccount")
	flags.StringVar(&f.Context, "context", f.Context, "context of the kubeconfig; left out, its current one")
}

// AddNamespaces adds -n and -A.
func (f *Flags) AddNamespaces(flags *pflag.FlagSet, usage string) {
	flags.StringVarP(&f.Namespace, "namespace", "n", f.Namespace, usage)
	flags.BoolVarP(&f.AllNamespaces, "all-namespaces", "A", f.AllNamespaces, "look at every namespace")
}

// AddTimeout adds --request-timeout.
func (f *Flags) AddTimeout(flags *pflag.FlagSet) {
	flags.DurationVar(&f.RequestTimeout, "request-timeout", f.RequestTimeout, "how long one request may take; 0 is for ever")
}

// Validate reports what can't be right about the flags.
func (f Flags) Validate() error {
	if f.AllNamespaces && f.Namespace != "" {
		return fmt.Errorf("expected --namespace or --all-namespaces, found both")
	}
	if f.RequestTimeout < 0 {
		return fmt.Errorf("--request-timeout: expected 0 or more, found %s", f.RequestTimeout)
	}
	return nil
}

// Given reports whether any flag chooses a cluster or a namespace.
func (f Flags) Given() bool {
	return f.Kubeconfig != "" || f.Context != "" || f.Namespace != "" || f.AllNamespaces
}

// Config returns how to reach the cluster. It does no I/O but reading files.
func (f Flags) Config() (*rest.Config, error) {
	config, err := f.loader().ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("find a cluster: %w", err)
	}
	config.Timeout = f.RequestTimeout
	return config, nil
}

// Where returns the namespace to look at, "" for every one.
func (f Flags) Where() (string, error) {
	if f.AllNamespaces {
		return "", nil
	}
	if f.Namespace != "" {
		return f.Namespace, nil
	}
	namespace, _, err := f.loader().Namespace()
	if err != nil {
		return "", fmt.Errorf("find the context's namespace: %w", err)
	}
	return namespace, nil
}

func (f Flags) loader() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.Kubeconfig
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: f.Context})
}
