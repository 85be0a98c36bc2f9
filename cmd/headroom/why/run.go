package why

import (
	"context"
	"net/url"
	"time"

	"github.com/keda-headroom/headroom/internal/output"
	"github.com/keda-headroom/headroom/scaler/recording"
	"github.com/keda-headroom/headroom/scaler/why"
)

// Run asks and shows the answer.
func Run(ctx context.Context, o Options) error {
	answer, err := o.ask(ctx)
	if err != nil {
		return err
	}
	return output.Write(o.Out, o.Output, answer, func() string { return table(answer, o.now()) })
}

func (o Options) ask(ctx context.Context) (why.Answer, error) {
	workload, err := o.workload()
	if err != nil {
		return why.Answer{}, err
	}
	at, err := ParseAt(o.At, o.now())
	if err != nil {
		return why.Answer{}, err
	}
	if o.Recording != "" {
		reader, err := recording.OpenReader(o.Recording)
		if err != nil {
			return why.Answer{}, err
		}
		if at.IsZero() {
			at = o.now()
		}
		return why.Recorded(reader, workload, at, o.Program)
	}
	query := url.Values{"workload": {workload.String()}}
	if !at.IsZero() {
		query.Set("at", at.UTC().Format(time.RFC3339Nano))
	}
	var answer why.Answer
	err = o.Client.Get(ctx, why.Path, query, &answer)
	return answer, err
}
