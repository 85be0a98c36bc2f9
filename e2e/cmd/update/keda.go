package main

import (
	"context"
	"fmt"
	"strings"
)

// updateKEDA moves KEDA. Replacements and exclusions hold in the main module alone, so
// those that KEDA is built with are taken over.
func updateKEDA(ctx context.Context, m module, to string) error {
	if !strings.HasPrefix(to, "v2.") {
		return fmt.Errorf("expected a version as v2.22.0, found %q", to)
	}
	keda := version{"github.com/kedacore/keda/v2", to}
	theirs, err := published(ctx, keda)
	if err != nil {
		return err
	}
	ours, err := m.read(ctx)
	if err != nil {
		return err
	}
	flags := forget(ours)
	for _, replacement := range ours.Replace {
		flags = append(flags, "-dropreplace="+replacement.Old.String())
	}
	for _, exclusion := range ours.Exclude {
		flags = append(flags, "-dropexclude="+exclusion.String())
	}
	for _, replacement := range theirs.Replace {
		if replacement.New.Version == "" {
			return fmt.Errorf("expected KEDA to replace %s by a published version, found %s", replacement.Old, replacement.New)
		}
		flags = append(flags, "-replace="+replacement.Old.String()+"="+replacement.New.String())
	}
	for _, exclusion := range theirs.Exclude {
		flags = append(flags, "-exclude="+exclusion.String())
	}
	return m.edit(ctx, append(flags, "-require="+keda.String()))
}
