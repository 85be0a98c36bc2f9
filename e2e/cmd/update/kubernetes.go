package main

import (
	"context"
	"fmt"
	"strings"
)

// updateKubernetes moves the control plane.
func updateKubernetes(ctx context.Context, m module, to string) error {
	theirs, err := published(ctx, version{kubernetesModule, to})
	if err != nil {
		return err
	}
	ours, err := m.read(ctx)
	if err != nil {
		return err
	}
	flags, err := kubernetesFlags(ours, theirs, to)
	if err != nil {
		return err
	}
	return m.edit(ctx, flags)
}

const (
	kubernetesModule = "k8s.io/kubernetes"
	etcdModule       = "go.etcd.io/etcd/server/v3"
)

// kubernetesFlags of `go mod edit` make our go.mod one of another version.
// k8s.io/kubernetes names its parts by their places in its own tree; each is replaced
// by what is published of it, with 0 for 1.
func kubernetesFlags(ours, theirs file, to string) ([]string, error) {
	minor, ok := strings.CutPrefix(to, "v1.")
	if !ok {
		return nil, fmt.Errorf("expected a version as v1.37.0, found %q", to)
	}
	parts := "v0." + minor
	flags := forget(ours)
	known := map[string]bool{}
	for _, replacement := range theirs.Replace {
		if strings.HasPrefix(replacement.New.Path, "./staging/") {
			path := replacement.Old.Path
			known[path] = true
			flags = append(flags, "-replace="+path+"="+path+"@"+parts)
		}
	}
	for _, replacement := range ours.Replace {
		if !known[replacement.Old.Path] { // no part of Kubernetes any more
			flags = append(flags, "-dropreplace="+replacement.Old.String())
		}
	}
	flags = append(flags, "-require="+kubernetesModule+"@"+to, "-require=k8s.io/component-base@"+parts)
	for _, requirement := range theirs.Require {
		if requirement.Path == etcdModule {
			return append(flags, "-require="+requirement.String()), nil
		}
	}
	return nil, fmt.Errorf("expected %s %s to require %s, found that it does not", kubernetesModule, to, etcdModule)
}

// forget drops all requirements, so that those of the version before don't outlive it.
func forget(ours file) []string {
	var flags []string
	for _, requirement := range ours.Require {
		flags = append(flags, "-droprequire="+requirement.Path)
	}
	return flags
}
