package cluster

import "path/filepath"

// keys are files that Kubernetes' components prove themselves by. Their own clients
// have kubeconfig files.
type keys struct {
	serving pair // of all that listens
	// The API server's, when it passes requests on to KEDA's adapter; an authority
	// of its own, because whoever it certifies may speak for everybody.
	frontProxy          pair
	frontProxyAuthority string
	accountsPrivate     string // signs tokens of ServiceAccounts
	accountsPublic      string
}

// makeKeys makes the cluster's authority, too.
func (c *Cluster) makeKeys() (keys, error) {
	dir := filepath.Join(c.dir, "pki")
	k := keys{accountsPrivate: filepath.Join(dir, "accounts.key"), accountsPublic: filepath.Join(dir, "accounts.pub")}
	if err := newKey(k.accountsPrivate, k.accountsPublic); err != nil {
		return keys{}, err
	}
	proxy, err := newAuthority(dir, "front-proxy")
	if err != nil {
		return keys{}, err
	}
	k.frontProxyAuthority = proxy.path
	if k.frontProxy, err = proxy.issue(frontProxyClient, nil); err != nil {
		return keys{}, err
	}
	if c.authority, err = newAuthority(dir, "cluster"); err != nil {
		return keys{}, err
	}
	k.serving, err = c.authority.issue("kubernetes", nil, loopback, "localhost", "kubernetes.default.svc")
	return k, err
}

// frontProxyClient is the name that the API server has when it passes requests on.
const frontProxyClient = "front-proxy-client"
