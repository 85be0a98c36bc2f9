package scaler

import (
	"cmp"
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// HTTPOptions say what the HTTP server shows. State and Metrics are required.
type HTTPOptions struct {
	// State returns the latest state: [Planner.State].
	State func() *State
	// Metrics are shown under /metrics.
	Metrics prometheus.Gatherer
	// Stopping makes /readyz fail once it is closed; nil never does.
	Stopping <-chan struct{}
	// Waiting says what the first plan waits for, "" where nothing is known; nil
	// says nothing.
	Waiting func() string
	// Handlers are mounted too, by the pattern of [http.ServeMux]:
	// "GET /v1/why".
	Handlers map[string]http.Handler
}

// NewHTTPServer returns a server, with timeouts, for
//
//	/metrics   Prometheus metrics
//	/livez     200 while the process runs, whatever it can or can't read:
//	           a restart heals no database
//	/readyz    200 once a policy is in force and a first plan was made
//	/v1/plans  every current plan, as JSON
func NewHTTPServer(options HTTPOptions) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(options.Metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-options.Stopping:
			answer(w, http.StatusServiceUnavailable, "stopping")
			return
		default:
		}
		if !options.State().Planned() {
			why := "no policy was valid so far, the log says why"
			if options.Waiting != nil {
				why = cmp.Or(options.Waiting(), why)
			}
			answer(w, http.StatusServiceUnavailable, "no plan yet: "+why)
			return
		}
		answer(w, http.StatusOK, "ready")
	})
	mux.HandleFunc("GET /v1/plans", func(w http.ResponseWriter, _ *http.Request) { plans(w, options.State()) })
	for pattern, handler := range options.Handlers {
		mux.Handle(pattern, handler)
	}
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text + "\n")) //nolint:gosec // plain text; a client that went away needs none
}

// Plans is the answer of /v1/plans.
type Plans struct {
	// At is when the plans were made; left out before the first.
	At time.Time `json:"at,omitzero"`
	// Plans are ordered by the name of their group.
	Plans []policy.Plan `json:"plans"`
	// Read is when each database's last good reading began, as of the plans. One
	// that was never read is left out.
	Read map[metrics.ID]time.Time `json:"read,omitempty"`
}

func plans(w http.ResponseWriter, state *State) {
	out := Plans{At: state.At, Plans: make([]policy.Plan, 0, len(state.Decisions))}
	for _, d := range state.Decisions {
		out.Plans = append(out.Plans, d.Plan)
		for id, reading := range d.Snapshot.Databases {
			if began := reading.Began(); !began.IsZero() {
				if out.Read == nil {
					out.Read = map[metrics.ID]time.Time{}
				}
				out.Read[id] = began
			}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(out) // the client went away; nobody is left to tell
}
