package gate

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Result is how an attempt ended: a stable code, the label of a counter.
type Result string

// The results.
const (
	// Done: the API server did it. Of an eviction that is that the pod began to
	// terminate.
	Done Result = "ok"
	// Stale: the pod is not as the plan saw it. Nothing was done.
	Stale Result = "stale"
	// Gone: there is no such pod.
	Gone Result = "gone"
	// Blocked: a PodDisruptionBudget keeps the pod.
	Blocked Result = "blocked"
	// Denied: we may not, or an admission policy or the validation of pods says no.
	Denied Result = "denied"
	// Unanswered: no answer in time, or one that does not say what was done. It may
	// have been done, or be done yet.
	Unanswered Result = "unanswered"
	// Failed: the API server answered with another error.
	Failed Result = "error"
)

// Results are all of them.
var Results = []Result{Done, Stale, Gone, Blocked, Denied, Unanswered, Failed}

// Outcome is what became of an attempt.
type Outcome struct {
	Action
	Result Result
	// Deleted is true where the pod was deleted because a PodDisruptionBudget
	// refused its eviction.
	Deleted bool
	// At is when it ended, Took how long it took.
	At   time.Time
	Took time.Duration
	// Said is what the API server said where it was not done: which
	// PodDisruptionBudget, for example. "" where it was.
	Said string
}

// Judge says what an answer to a request of an action means.
func Judge(k Kind, err error) (Result, string) {
	if err == nil {
		return Done, ""
	}
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return Unanswered, err.Error()
	}
	status := answer.Status()
	said := says(status)
	switch {
	case status.Code == http.StatusNotFound:
		return Gone, said
	case status.Code == http.StatusConflict:
		return Stale, said
	case status.Code == http.StatusUnprocessableEntity && k == Stamp && aboutUID(status):
		return Stale, said
	case status.Code == http.StatusUnprocessableEntity && k == Admit && doesNotApply(status):
		return Stale, "the pod is not as the plan saw it: it was written to since, it is another one of the same name, or our gate is not the only one on it"
	case k == Evict && keptByBudget(status):
		return Blocked, said
	case slices.Contains([]int32{http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity}, status.Code):
		return Denied, said
	case slices.Contains([]int32{http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusBadGateway}, status.Code):
		return Unanswered, said
	}
	return Failed, said
}

// doesNotApply reports whether a JSON patch was refused because one of its
// operations failed, and not because of what would have come out of it: an
// admission policy and the validation of pods name their causes. The API server
// does not say which operation it was.
func doesNotApply(s metav1.Status) bool {
	return s.Details == nil || len(s.Details.Causes) == 0
}

// aboutUID reports whether a patch was refused because it would have changed the
// object's uid.
func aboutUID(s metav1.Status) bool {
	return s.Details != nil && slices.ContainsFunc(s.Details.Causes, func(c metav1.StatusCause) bool {
		return c.Field == "metadata.uid"
	})
}

// keptByBudget reports whether an eviction was refused by a PodDisruptionBudget,
// or because there are several for the pod, of which the API server has no
// opinion.
func keptByBudget(s metav1.Status) bool {
	if strings.Contains(s.Message, "more than one PodDisruptionBudget") {
		return true
	}
	return s.Details != nil && slices.ContainsFunc(s.Details.Causes, func(c metav1.StatusCause) bool {
		return c.Type == policyv1.DisruptionBudgetCause
	})
}

// says returns what an answer says, its causes included.
func says(s metav1.Status) string {
	parts := []string{strings.TrimSuffix(s.Message, ".")}
	if s.Details != nil {
		for _, c := range s.Details.Causes {
			if c.Message != "" && !strings.Contains(s.Message, c.Message) {
				parts = append(parts, c.Message)
			}
		}
	}
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), ": ")
}
