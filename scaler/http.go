package scaler

import (
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
	// Ready says what this process waits for before it may lead and answer, "" once
	// it waits for nothing. nil waits for the first plan.
	Ready func() string
	// Standby says why another Headroom has to be asked, "" where it is this one;
	// nil is always this one.
	Standby func() string
	// Handlers are mounted too, by the pattern of [http.ServeMux]:
	// "GET /v1/why".
	Handlers map[string]http.Handler
}

// NewHTTPServer returns a server, with timeouts, for
//
//	/metrics   Prometheus metrics
//	/livez     200 while the process runs, whatever it can or can't read:
//	           a restart heals no database
//	/readyz    200 once it could lead and answer
//	/v1/plans  every current plan, as JSON; an error where another one leads
func NewHTTPServer(options HTTPOptions) *http.Server {
	if options.Ready == nil {
		options.Ready = func() string { return planned(options.State()) }
	}
	if options.Standby == nil {
		options.Standby = func() string { return "" }
	}
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
		if why := options.Ready(); why != "" {
			answer(w, http.StatusServiceUnavailable, why)
			return
		}
		if why := options.Standby(); why != "" {
			answer(w, http.StatusOK, "ready: "+why)
			return
		}
		answer(w, http.StatusOK, "ready")
	})
	options.mount(mux, "GET /v1/plans", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { plans(w, options.State()) }))
	for pattern, handler := range options.Handlers {
		options.mount(mux, pattern, handler)
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

// mount adds what only the leader can answer.
func (o HTTPOptions) mount(mux *http.ServeMux, pattern string, handler http.Handler) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		why := o.Standby()
		if why == "" {
			handler.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusServiceUnavailable)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": why}) // the client went away; nobody is left to tell
	})
}

// planned says what the first plan waits for, "" where it was made.
func planned(state *State) string {
	if state.Planned() {
		return ""
	}
	return "no plan yet: no policy was valid so far, the log says why"
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
