package main

import (
	"context"
	"fmt"
	"strings"
)

// updateKubernetes moves the control plane. k8s.io/kubernetes names its parts by their
// places in its own tree; each is replaced by what is published of it.
func updateKubernetes(ctx context.Context, m module, to string) error {
	minor, ok := strings.CutPrefix(to, "v1.")
	if !ok {
		return fmt.Errorf("expected a version as v1.37.0, found %q", to)
	}
	parts := "v0." + minor
	theirs, err := published(ctx, version{"k8s.io/kubernetes", to})
	if err != nil {
		return err
	}
	ours, err := m.read(ctx)
	if err != nil {
		return err
	}
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
		if !known[replacement.Old.Path] { // moved out of Kubernetes since
			flags = append(flags, "-dropreplace="+replacement.Old.String())
		}
	}
	const etcd = "go.etcd.io/etcd/server/v3"
	flags = append(flags, "-require=k8s.io/kubernetes@"+to, "-require=k8s.io/component-base@"+parts)
	for _, requirement := range theirs.Require {
		if requirement.Path == etcd {
			flags = append(flags, "-require="+requirement.String())
			return m.edit(ctx, flags)
		}
	}
	return fmt.Errorf("expected k8s.io/kubernetes %s to require %s, found that it does not", to, etcd)
}

// forget drops all requirements, so that those of the version before don't outlive it.
func forget(ours file) []string {
	var flags []string
	for _, requirement := range ours.Require {
		flags = append(flags, "-droprequire="+requirement.Path)
	}
	return flags
}
