// Package serverclient is how commands ask a running Headroom: by the URL of its
// HTTP port, or through a cluster's API server, which forwards to its Service.
package serverclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"

	"github.com/keda-headroom/headroom/internal/kubeflags"
)

// DefaultServer is where a server on this machine, or behind a port-forward,
// answers.
const DefaultServer = "http://127.0.0.1:8080"

// Where the manifests put Headroom.
const (
	DefaultNamespace = "headroom"
	DefaultService   = "headroom"
)

// maxAnswer bounds what is taken from a server, in bytes.
const maxAnswer = 64 << 20

// Client asks one server.
type Client struct {
	// Server is the URL of its HTTP port. It is used unless Cluster says which
	// cluster to go through.
	Server string
	// Cluster is the one that Headroom runs in; only its cluster and its timeout
	// are used. Through says that it is used even where it names no cluster.
	Cluster kubeflags.Flags
	Through bool
	// Namespace and Service are Headroom's in that cluster.
	Namespace, Service string
}

// New returns a client with the defaults: HEADROOM_SERVER in the environment, or
// this machine.
func New() Client {
	c := Client{
		Server: os.Getenv("HEADROOM_SERVER"), Namespace: DefaultNamespace, Service: DefaultService,
		Cluster: kubeflags.Flags{RequestTimeout: kubeflags.DefaultTimeout},
	}
	if c.Server == "" {
		c.Server = DefaultServer
	}
	return c
}

// Add adds the flags that choose the server.
func (c *Client) Add(flags *pflag.FlagSet) {
	flags.StringVar(&c.Server, "server", c.Server, "URL of the server's HTTP port; HEADROOM_SERVER in the environment is its default")
	c.Cluster.AddCluster(flags)
	flags.StringVar(&c.Namespace, "headroom-namespace", c.Namespace, "namespace that Headroom runs in; with it, --kubeconfig or --context and no --server, the cluster's API server forwards to its Service")
	flags.StringVar(&c.Service, "headroom-service", c.Service, "name of Headroom's Service there")
	c.Cluster.AddTimeout(flags)
}

// Choose looks at which of the flags were given: --server wins, and of those for a
// cluster one is enough to go through it.
func (c *Client) Choose(flags *pflag.FlagSet) error {
	for _, name := range []string{"kubeconfig", "context", "headroom-namespace", "headroom-service"} {
		c.Through = c.Through || flags.Changed(name)
	}
	if c.Through && flags.Changed("server") {
		return errors.New("expected --server or a cluster (--kubeconfig, --context, --headroom-namespace, --headroom-service), found both")
	}
	return nil
}

// Validate reports what can't be right about the client.
func (c Client) Validate() error {
	if err := c.Cluster.Validate(); err != nil {
		return err
	}
	if u, err := url.Parse(c.Server); !c.Through && (err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "") {
		return fmt.Errorf("--server: expected a URL such as %s, found %q", DefaultServer, c.Server)
	}
	return nil
}

// Name says who is asked, for errors.
func (c Client) Name() string {
	if c.Through {
		return fmt.Sprintf("Service %s/%s", c.Namespace, c.Service)
	}
	return c.Server
}

// failure is the body of an answer that is not 200.
type failure struct {
	Error   string `json:"error"`
	Kind    string `json:"kind"` // Status where the API server answers itself
	Message string `json:"message"`
}

// Get asks for a path and decodes what is answered. The error says in words what
// was wrong: the server's own words where it gave any.
func (c Client) Get(ctx context.Context, path string, query url.Values, into any) error {
	if c.Cluster.RequestTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Cluster.RequestTimeout)
		defer cancel()
	}
	path = asked(path, query)
	answer, err := c.Open(ctx, path, nil)
	if err != nil {
		return err
	}
	defer answer.Close()
	body, err := io.ReadAll(io.LimitReader(answer, maxAnswer))
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("expected an answer of %s from %s, found something else: %w", path, c.Name(), err)
	}
	return nil
}

// asked is a path with its query.
func asked(path string, query url.Values) string {
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

// Open asks for a path and returns what is answered, as it comes; ctx alone bounds it in
// time. Errors are those of Get.
func (c Client) Open(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	base, client, err := c.reach()
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(base, "/")+asked(path, query), nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		hint := "Is it there? In a cluster: add --context, or kubectl -n headroom port-forward service/headroom 8080"
		if c.Through {
			hint = "Is the cluster there? kubectl cluster-info says so"
		}
		return nil, fmt.Errorf("ask the server: %w\n%s", err, hint)
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		if err != nil {
			return nil, fmt.Errorf("ask the server: %w", err)
		}
		return nil, c.refused(response, body)
	}
	return response.Body, nil
}

// refused says why there is no answer.
func (c Client) refused(response *http.Response, body []byte) error {
	var f failure
	_ = json.Unmarshal(body, &f) // a page of HTML says nothing more
	switch {
	case f.Error != "":
		return errors.New(f.Error)
	case c.Through && f.Kind == "Status" && response.StatusCode == http.StatusForbidden:
		return fmt.Errorf("expected permission to get services/proxy in namespace %s: %s", c.Namespace, f.Message)
	case c.Through && f.Kind == "Status":
		return fmt.Errorf("expected %s to answer, found: %s: does Headroom run, and in this namespace (--headroom-namespace)?", c.Name(), f.Message)
	}
	return fmt.Errorf("expected an answer from %s, found %s: is it a Headroom server's HTTP port?", c.Name(), response.Status)
}

// reach returns what paths are appended to, and what to ask with.
func (c Client) reach() (string, *http.Client, error) {
	if !c.Through {
		return c.Server, http.DefaultClient, nil
	}
	config, err := c.Cluster.Config()
	if err != nil {
		return "", nil, err
	}
	config.Timeout = 0 // the context bounds it
	config.GroupVersion, config.NegotiatedSerializer = nil, nil
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return "", nil, fmt.Errorf("find a cluster: %w", err)
	}
	host, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return "", nil, fmt.Errorf("find a cluster: %w", err)
	}
	host.Path = strings.TrimSuffix(host.Path, "/") + fmt.Sprintf("/api/v1/namespaces/%s/services/http:%s:http/proxy", c.Namespace, c.Service)
	return host.String(), client, nil
}

// Ago writes how long ago something was, to a tenth of a second.
func Ago(then, now time.Time) string {
	return max(0, now.Sub(then)).Round(100 * time.Millisecond).String()
}
