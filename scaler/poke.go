package scaler

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/keda-headroom/headroom/metrics"
)

// PokePath is where the server is told that a queue has messages.
const PokePath = "/v1/queues/poke"

// What came of a poke.
const (
	PokeNow  = "now"  // the queue is read at once
	PokeSoon = "soon" // it was poked too often: it is read at its PollInterval
)

// Poked is the answer to a poke that was understood.
type Poked struct {
	Workload metrics.ID `json:"workload"`
	// Read is PokeNow or PokeSoon.
	Read string `json:"read"`
}

// NewPokeHandler answers
//
//	POST /v1/queues/poke?workload=NAMESPACE/NAME
//
// with 202 and a [Poked] as JSON: the queue of the workload is read because
// somebody says that there are messages in it. Nothing of the request but the
// workload is looked at, and nothing is believed: a queue that turns out to be
// empty stays idle. 400 is no workload's name, 404 a workload that has no queue or
// no policy. poke is [Sources.Poke]; count is told "now", "soon" or "unknown".
func NewPokeHandler(poke func(metrics.ID) (now, known bool), count func(result string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		fail := func(status int, err error) {
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()}) // the client went away; nobody is left to tell
		}
		id, err := metrics.ParseID(r.URL.Query().Get("workload"))
		if err != nil {
			fail(http.StatusBadRequest, fmt.Errorf("workload: %w", err))
			return
		}
		now, known := poke(id)
		if !known {
			count("unknown")
			fail(http.StatusNotFound, fmt.Errorf("expected a workload with a queue and a policy in force, found %s", id))
			return
		}
		out := Poked{Workload: id, Read: PokeSoon}
		if now {
			out.Read = PokeNow
		}
		count(out.Read)
		w.WriteHeader(http.StatusAccepted)
		_ = json.NewEncoder(w).Encode(out) // as above
	})
}
