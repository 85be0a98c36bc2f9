package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/keda-headroom/headroom/internal/lines"
	"github.com/keda-headroom/headroom/internal/process"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
)

const (
	headroomPackage = "github.com/keda-headroom/headroom/cmd/headroom"
	namespace       = "shop"
	workloadName    = "order-workers"
	databaseName    = "orders-db"
	dsnVariable     = "ORDERS_DB_DSN"
)

// headroomProgram is the path of the real server: the given one, or one that is
// compiled into dir.
func headroomProgram(ctx context.Context, given, dir string, p *progress) (path string, err error) {
	if given != "" {
		// With a separator, so that it is this file and none in $PATH.
		if given, err = filepath.Abs(given); err != nil {
			return "", err
		}
		if path, err = exec.LookPath(given); err != nil {
			return "", fmt.Errorf("--headroom: %w", err)
		}
		return path, nil
	}
	p.say("Building headroom (--headroom PATH takes one that is built)")
	path = filepath.Join(dir, "headroom")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, headroomPackage)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", errors.Join(ctx.Err(), fmt.Errorf("build headroom (outside its source tree, name a built one with --headroom): %w\n%s", err, out))
	}
	return path, nil
}

// policyDocument is the policy of the demo, as its author would write it.
func policyDocument(s scenario, at *site, endpoint, queueURL string) ([]byte, error) {
	type object = map[string]any
	document, err := yaml.Marshal(object{
		"apiVersion": policy.APIVersion, "kind": policy.Kind,
		"metadata": object{"name": "demo", "namespace": namespace},
		"databases": []object{{
			"name":       databaseName,
			"postgresql": object{"dsn": object{"env": dsnVariable}},
			"reserve":    s.reserve, "othersWindow": s.othersWindow.String(), "pollInterval": "500ms",
		}},
		"workloads": []object{{
			"name": workloadName, "mode": string(policy.Target),
			"scaledObjectRef": object{"name": workloadName},
			"databaseRefs":    []object{{"name": databaseName, "user": at.worker.role, "connectionsPerPod": s.connectionsPerPod}},
			"sqs": object{
				"queueURL": queueURL, "endpoint": endpoint, "region": queueRegion,
				"messagesPerPod": s.messagesPerPod, "pollInterval": "1s",
			},
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("write the policy: %w", err)
	}
	return document, nil
}

// headroom is the real server, in a process of its own.
type headroom struct {
	process    *process.Process
	grpc, http string // addresses

	mu  sync.Mutex
	log bytes.Buffer
}

// startHeadroom starts the server and returns when it listens.
func startHeadroom(ctx context.Context, path, dir string, document []byte, dsn, fleets string) (*headroom, error) {
	file := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(file, document, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(path, "serve", "--policy", file, "--fleets", fleets,
		"--grpc-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0", "--log-format", "json")
	cmd.Env = append(os.Environ(), dsnVariable+"="+dsn,
		"AWS_ACCESS_KEY_ID=demo", "AWS_SECRET_ACCESS_KEY=demo", "AWS_REGION="+queueRegion, "AWS_EC2_METADATA_DISABLED=true")
	cmd.WaitDelay = time.Second
	h := &headroom{}
	serving := make(chan struct{})
	var once sync.Once
	line := &lines.Writer{Line: func(line []byte) {
		var said struct{ Msg, GRPC, HTTP string }
		if json.Unmarshal(line, &said) == nil && said.Msg == "serving" {
			once.Do(func() {
				h.grpc, h.http = said.GRPC, said.HTTP
				close(serving)
			})
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.log.Write(line)
		h.log.WriteByte('\n')
	}}
	cmd.Stdout, cmd.Stderr = line, line // one writer: exec then has one goroutine for both
	var err error
	if h.process, err = process.Start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("headroom does not listen after 30 s"))
	defer cancel()
	select {
	case <-serving:
		return h, nil
	case <-h.process.Ended():
		return nil, h.failure(errors.New("headroom ended at its start"))
	case <-ctx.Done():
		h.stop()
		return nil, h.failure(context.Cause(ctx))
	}
}

// failure adds the end of the server's log to an error.
func (h *headroom) failure(err error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(h.log.String()), "\n")
	return fmt.Errorf("%w; the end of its log:\n%s", err, strings.Join(lines[max(0, len(lines)-15):], "\n"))
}

func (h *headroom) stop() { h.process.Stop(15 * time.Second) }

// ready returns when the server has a plan that may promise something: it has
// read everything, and watched the others for one window.
func (h *headroom) ready(ctx context.Context, window time.Duration) error {
	limit := window + 30*time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("headroom is not ready to promise anything after %v", limit))
	defer cancel()
	for {
		waiting, err := h.waiting(ctx)
		if err == nil && waiting == "" {
			return nil
		}
		if err != nil {
			waiting = err.Error()
		}
		select {
		case <-h.process.Ended():
			return h.failure(errors.New("headroom ended by itself"))
		case <-ctx.Done():
			return h.failure(fmt.Errorf("%w: %s", context.Cause(ctx), waiting))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// waiting says what the plan still waits for, "" when it waits for nothing.
func (h *headroom) waiting(ctx context.Context) (string, error) {
	plan, err := h.plan(ctx)
	if err != nil {
		return "", err
	}
	w, ok := plan.Workload(metrics.ID{Namespace: namespace, Name: workloadName})
	if !ok {
		return "no plan for the workload", nil
	}
	for _, d := range plan.Databases {
		if d.Unknown != "" {
			return d.Unknown, nil
		}
		if d.Starting != "" {
			return d.Starting, nil
		}
	}
	if !w.Demand.Known {
		return w.Sentence, nil
	}
	return "", nil
}

// plan asks for the current plan; there is one group only.
func (h *headroom) plan(ctx context.Context) (policy.Plan, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.http+"/v1/plans", nil)
	if err != nil {
		return policy.Plan{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return policy.Plan{}, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	var plans scaler.Plans
	if err := json.NewDecoder(response.Body).Decode(&plans); err != nil {
		return policy.Plan{}, fmt.Errorf("/v1/plans: %w", err)
	}
	if len(plans.Plans) != 1 {
		return policy.Plan{}, fmt.Errorf("/v1/plans: expected one plan, found %d", len(plans.Plans))
	}
	return plans.Plans[0], nil
}
