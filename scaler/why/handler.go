package why

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/recording"
)

// Path is where the server answers.
const Path = "/v1/why"

// Options say what the handler knows. State is required.
type Options struct {
	// State returns the latest state: the planner's.
	State func() *scaler.State
	// Recording knows earlier decisions; nil where none are kept.
	Recording *recording.Recorder
	// Program is the version of this program.
	Program string
}

// Failure is the body of every answer that is not 200.
type Failure struct {
	Error string `json:"error"`
}

// NewHandler answers
//
//	GET /v1/why?workload=NAMESPACE/NAME[&at=RFC3339]
//
// with an [Answer] as JSON: of the decision in force, or of the one in force at
// an earlier time. 400 is a question that can't be answered, 404 a workload or a
// time that nothing is known of.
func NewHandler(options Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, status, err := options.answer(r)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		var body any = answer
		if err != nil {
			body = Failure{err.Error()}
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body) // the client went away; nobody is left to tell
	})
}

func (o Options) answer(r *http.Request) (Answer, int, error) {
	query := r.URL.Query()
	workload, err := metrics.ParseID(query.Get("workload"))
	if err != nil {
		return Answer{}, http.StatusBadRequest, fmt.Errorf("workload: %w", err)
	}
	if !query.Has("at") {
		return o.current(workload)
	}
	at, err := time.Parse(time.RFC3339, query.Get("at"))
	if err != nil {
		return Answer{}, http.StatusBadRequest, fmt.Errorf(`at: expected a time such as "2026-11-22T16:00:00Z", found %q`, query.Get("at"))
	}
	if o.Recording == nil {
		return Answer{}, http.StatusNotFound, errors.New("this server records no decisions, so that it can't answer for earlier times")
	}
	answer, err := Recorded(o.Recording.Reader(), workload, at, o.Program)
	var missing *recording.NotFoundError
	switch {
	case errors.As(err, &missing):
		return Answer{}, http.StatusNotFound, err
	case err != nil:
		return Answer{}, http.StatusInternalServerError, err
	}
	return answer, http.StatusOK, nil
}

func (o Options) current(workload metrics.ID) (Answer, int, error) {
	state := o.State()
	if !state.Planned() {
		return Answer{}, http.StatusServiceUnavailable, errors.New("nothing was decided yet: no policy was valid so far, the server's log says why")
	}
	if d, ok := state.Decision(workload); ok {
		if answer, ok := Current(d.Plan.At, d.Group, d.Snapshot, d.Ledger, workload); ok {
			return answer, http.StatusOK, nil
		}
	}
	var known []string
	for _, w := range state.Set.Workloads {
		known = append(known, w.ID.String())
	}
	return Answer{}, http.StatusNotFound, fmt.Errorf("no policy names a workload %s, only %s", workload, or(strings.Join(known, ", "), "none"))
}
