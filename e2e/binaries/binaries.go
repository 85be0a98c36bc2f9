package binaries

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
)

// Binaries are paths of the programs that a cluster is made of.
type Binaries struct {
	// ControlPlane is etcd, kube-apiserver, kube-controller-manager and
	// kube-scheduler, as its first argument says.
	ControlPlane string
	// Operator, Adapter and Webhooks are KEDA's three programs.
	Operator, Adapter, Webhooks string
	// Client is KEDA's own client of external scalers, see e2e/keda/client.
	Client string
	// KEDAConfig is the directory of KEDA's own manifests, "config" in its module.
	KEDAConfig string
	// Kubernetes and KEDA are the versions, as in "v1.36.4".
	Kubernetes, KEDA string
}

// Build returns the programs of a cluster, and builds those that are not kept from
// an earlier time, which takes about 15 minutes on two processors. It tells
// progress what it builds, and that it goes on; nil tells nobody.
//
// Whoever builds the same at the same time, in whatever process, waits for the first.
func Build(ctx context.Context, progress io.Writer) (Binaries, error) {
	if progress == nil {
		progress = io.Discard
	}
	tree, err := findTree(ctx)
	if err != nil {
		return Binaries{}, err
	}
	kubernetes := component{
		title: "Kubernetes", dir: filepath.Join(tree.e2e, "controlplane"), module: "k8s.io/kubernetes",
		versioned: []string{"k8s.io/component-base/version.gitVersion"},
		programs:  map[string]string{"controlplane": "."},
	}
	const keda = "github.com/kedacore/keda/v2"
	autoscaler := component{
		title: "KEDA", dir: filepath.Join(tree.e2e, "keda"), module: keda,
		versioned: []string{keda + "/version.Version"},
		programs: map[string]string{
			"operator": keda + "/cmd/operator", "adapter": keda + "/cmd/adapter", "webhooks": keda + "/cmd/webhooks",
			"client": "./client",
		},
	}
	plane, err := kubernetes.build(ctx, progress)
	if err != nil {
		return Binaries{}, err
	}
	scaler, err := autoscaler.build(ctx, progress)
	if err != nil {
		return Binaries{}, err
	}
	return Binaries{
		ControlPlane: filepath.Join(plane.dir, "controlplane"),
		Operator:     filepath.Join(scaler.dir, "operator"),
		Adapter:      filepath.Join(scaler.dir, "adapter"),
		Webhooks:     filepath.Join(scaler.dir, "webhooks"),
		Client:       filepath.Join(scaler.dir, "client"),
		KEDAConfig:   filepath.Join(scaler.source, "config"),
		Kubernetes:   plane.version,
		KEDA:         scaler.version,
	}, nil
}

// Program builds one of Headroom's own programs, named by its import path as in
// "github.com/keda-headroom/headroom/cmd/headroom", from the tree that the caller
// belongs to, and returns where it is. It is built each time: Go's build cache makes
// that quick where nothing has changed.
func Program(ctx context.Context, progress io.Writer, importPath string) (string, error) {
	if progress == nil {
		progress = io.Discard
	}
	tree, err := findTree(ctx)
	if err != nil {
		return "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	// Each clone of the repository has its own.
	dir := filepath.Join(cache, "tree-"+digest(tree.root))
	unlock, err := lock(ctx, dir)
	if err != nil {
		return "", err
	}
	defer unlock()
	path := filepath.Join(dir, filepath.Base(importPath))
	if err := goBuild(ctx, progress, tree.moduleOf(importPath), importPath, path, ""); err != nil {
		return "", fmt.Errorf("build %s: %w", importPath, err)
	}
	return path, nil
}
