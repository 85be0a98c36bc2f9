package status

import (
	"context"
	"encoding/json"

	"sigs.k8s.io/yaml"

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
	var text []byte
	var err error
	switch o.Output {
	case "json":
		text, err = json.MarshalIndent(shown, "", "  ")
		text = append(text, '\n')
	case "yaml":
		text, err = yaml.Marshal(shown)
	default:
		text = []byte(table(shown, o.now()))
	}
	if err != nil {
		return err
	}
	_, err = o.Out.Write(text)
	return err
}
