package main

import (
	"context"
	"fmt"
)

const kedaModule = "github.com/kedacore/keda/v2"

// updateKEDA moves KEDA.
func updateKEDA(ctx context.Context, m module, to string) error {
	theirs, err := published(ctx, version{kedaModule, to})
	if err != nil {
		return err
	}
	ours, err := m.read(ctx)
	if err != nil {
		return err
	}
	flags, err := kedaFlags(ours, theirs, to)
	if err != nil {
		return err
	}
	return m.edit(ctx, flags)
}

// kedaFlags of `go mod edit` make our go.mod one of another version. Replacements and
// exclusions hold in the main module alone, so those that KEDA is built with are taken
// over; one of ours within this repository stays.
func kedaFlags(ours, theirs file, to string) ([]string, error) {
	flags := forget(ours)
	for _, replacement := range ours.Replace {
		if replacement.New.Version == "" { // Headroom's own
			flags = append(flags, "-require="+replacement.Old.Path+"@v0.0.0")
		} else {
			flags = append(flags, "-dropreplace="+replacement.Old.String())
		}
	}
	for _, exclusion := range ours.Exclude {
		flags = append(flags, "-dropexclude="+exclusion.String())
	}
	for _, replacement := range theirs.Replace {
		if replacement.New.Version == "" {
			return nil, fmt.Errorf("expected KEDA to replace %s by a published version, found %s", replacement.Old, replacement.New)
		}
		flags = append(flags, "-replace="+replacement.Old.String()+"="+replacement.New.String())
	}
	for _, exclusion := range theirs.Exclude {
		flags = append(flags, "-exclude="+exclusion.String())
	}
	return append(flags, "-require="+kedaModule+"@"+to), nil
}
