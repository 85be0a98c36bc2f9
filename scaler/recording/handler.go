package recording

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Path is where a server gives its recording.
const Path = "/v1/recording"

// archiveTimeout is how long a server may take to give it.
const archiveTimeout = 5 * time.Minute

// NewHandler answers
//
//	GET /v1/recording[?from=RFC3339][&to=RFC3339]
//
// with a tar archive of the recording's files that have records of that time. 400 is a
// time that can't be read, 404 a time of which nothing is recorded.
func NewHandler(r *Recorder) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		refuse := func(status int, err error) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()}) // the client went away; nobody is left to tell
		}
		w.Header().Set("Cache-Control", "no-store")
		var times [2]time.Time
		for i, name := range []string{"from", "to"} {
			text := request.URL.Query().Get(name)
			if text == "" {
				continue
			}
			var err error
			if times[i], err = time.Parse(time.RFC3339, text); err != nil {
				refuse(http.StatusBadRequest, fmt.Errorf(`%s: expected a time such as "2026-11-22T16:00:00Z", found %q`, name, text))
				return
			}
		}
		reader := r.Reader()
		segments, err := reader.source.list()
		if err != nil {
			refuse(http.StatusInternalServerError, err)
			return
		}
		if segments = slices.Collect(during(segments, times[0], times[1])); len(segments) == 0 {
			refuse(http.StatusNotFound, errors.New("nothing is recorded of the time asked for"))
			return
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(archiveTimeout)) // a server without deadlines has none to set
		w.Header().Set("Content-Type", "application/x-tar")
		if err := reader.archive(w, segments); err != nil {
			panic(http.ErrAbortHandler) // what was sent is no archive: let the client see that
		}
	})
}
