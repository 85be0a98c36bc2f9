package status

import (
	"context"

	"github.com/keda-headroom/headroom/internal/output"
	"github.com/keda-headroom/headroom/scaler"
)

// path is where the server shows its plans.
const path = "/v1/plans"

// Run asks the server and writes the overview.
func Run(ctx context.Context, o Options) error {
	var plans scaler.Plans
	if err := o.Client.Get(ctx, path, nil, &plans); err != nil {
		return err
	}
	shown := overview(plans, o.Namespace)
	return output.Write(o.Out, o.Output, shown, func() string { return table(shown, o.now()) })
}
