package why

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/keda-headroom/headroom/scaler/recording"
	"github.com/keda-headroom/headroom/scaler/why"
)

// maxAnswer bounds what is taken from a server, in bytes.
const maxAnswer = 64 << 20

// Run asks and shows the answer.
func Run(ctx context.Context, o Options) error {
	answer, err := o.ask(ctx)
	if err != nil {
		return err
	}
	var text []byte
	switch o.Output {
	case "json":
		text, err = json.MarshalIndent(answer, "", "  ")
		text = append(text, '\n')
	case "yaml":
		text, err = yaml.Marshal(answer)
	default:
		text = []byte(table(answer, o.now()))
	}
	if err != nil {
		return err
	}
	_, err = o.Out.Write(text)
	return err
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
	return o.fetch(ctx, strings.TrimSuffix(o.Server, "/")+why.Path+"?"+query.Encode())
}

func (o Options) fetch(ctx context.Context, address string) (why.Answer, error) {
	if o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Timeout)
		defer cancel()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return why.Answer{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return why.Answer{}, fmt.Errorf("ask the server: %w\nIs it there? In a cluster: kubectl -n headroom port-forward service/headroom 8080", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return why.Answer{}, fmt.Errorf("ask the server: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		var failure why.Failure
		if json.Unmarshal(body, &failure) == nil && failure.Error != "" {
			return why.Answer{}, errors.New(failure.Error)
		}
		return why.Answer{}, fmt.Errorf("expected an answer from %s, found %s: is it a Headroom server's HTTP port?", o.Server, response.Status)
	}
	var answer why.Answer
	if err := json.Unmarshal(body, &answer); err != nil {
		return why.Answer{}, fmt.Errorf("expected an explanation from %s, found something else: %w", o.Server, err)
	}
	return answer, nil
}
