package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	awscloudwatch "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/awscall"
	"github.com/keda-headroom/headroom/metrics/poll"
)

const (
	// Interval is how often a place is read: CloudWatch has a point a minute.
	Interval = time.Minute
	// Timeout is how long one read may take, all its calls together.
	Timeout = 20 * time.Second
	// MaxBackoff is the longest wait after failures that pass by themselves.
	MaxBackoff = 4 * time.Minute
	// RefusedRetry is the wait after a refusal by IAM, which somebody has to mend.
	// Credentials may come by themselves, and are waited for no longer than for
	// anything else.
	RefusedRetry = 15 * time.Minute
	// Window is how far back each read asks at least, for points that come late.
	Window = 15 * time.Minute
	// Kept is how far back points are kept, and what a first read asks for.
	Kept = time.Hour
)

// Settings are those to poll a [Source] with.
func Settings() poll.Settings {
	return poll.Settings{Interval: Interval, Timeout: Timeout, MaxBackoff: MaxBackoff}
}

// Queues are what is known of the queues of one place, by name.
type Queues map[string]Queue

// Queue is what is known of one queue.
type Queue struct {
	// Points may be none: of a queue that was idle for hours, that does not exist,
	// or that is another account's, nothing is published.
	Points metrics.Points
	// Problem is what CloudWatch said was wrong with this queue's metrics alone.
	Problem string
}

// Source reads one place. It is made by [Client.Open]; its methods are called by
// one goroutine at a time.
type Source struct {
	place   Place
	client  *awscloudwatch.Client
	secrets *awscall.Secrets
	names   func() []string
	phase   time.Duration // when in a minute to read

	histories map[string]history // of the queues of the last read
	succeeded time.Time          // when the last read that worked began
	refused   bool               // the last read was
}

var _ poll.Paced = (*Source)(nil)

// Read asks CloudWatch for what is new. An error is an [*awscall.Error], and is of
// all queues of the place. Whoever asks about nothing is not told of errors
// either, for nothing is sent.
func (s *Source) Read(ctx context.Context) (Queues, error) {
	now := time.Now()
	to := now.UTC().Truncate(time.Minute) // only minutes that ended
	names := slices.Compact(slices.Sorted(slices.Values(s.names())))
	from := s.begin(names, now, to)

	problems := map[string]string{}
	for batch := range slices.Chunk(questions(names), perCall) {
		if err := s.ask(ctx, batch, from, to, func(q question, r types.MetricDataResult) {
			for i, start := range r.Timestamps {
				s.histories[q.queue].merge(q.metric, start, r.Values[i])
			}
			switch r.StatusCode {
			case types.StatusCodeForbidden, types.StatusCodeInternalError:
				problems[q.queue] = fmt.Sprintf("CloudWatch answers %s for %s", r.StatusCode, q.name)
			case types.StatusCodeComplete, types.StatusCodePartialData: // the rest is on the next page
			}
		}); err != nil {
			s.refused = refusal(err)
			return nil, err
		}
	}
	s.succeeded, s.refused = now, false
	out := make(Queues, len(names))
	for _, name := range names {
		s.histories[name].forget(to.Add(-Kept), to)
		out[name] = Queue{Points: s.histories[name].points(), Problem: problems[name]}
	}
	return out, nil
}

// begin makes room for these queues alone, and returns from when on to ask: the
// window back from the last success, or all that is kept where a queue is new.
func (s *Source) begin(names []string, now, to time.Time) time.Time {
	missed := max(0, now.Sub(s.succeeded)) // of a clock that was set back, nothing is known
	back := min(Window+missed.Truncate(time.Minute), Kept)
	if s.succeeded.IsZero() {
		back = Kept
	}
	histories := make(map[string]history, len(names))
	for _, name := range names {
		h, known := s.histories[name]
		if !known {
			h, back = history{}, Kept
		}
		histories[name] = h
	}
	s.histories = histories
	return to.Add(-back)
}

// refusal reports whether somebody has to give a permission before another try can
// work.
func refusal(err error) bool {
	var e *awscall.Error
	return errors.As(err, &e) && e.Result == awscall.ResultDenied
}

// Due returns when the next read is to begin: in the phase of a minute that is
// next to when the settings ask for it; later after a refusal.
func (s *Source) Due(settings poll.Settings, last poll.Attempt) time.Time {
	if s.refused {
		settings.Interval, settings.MaxBackoff = RefusedRetry, RefusedRetry
		return settings.Due(last)
	}
	last.Random = 0.5 // the phase is what spreads reads
	due := settings.Due(last)
	wall := due.Round(0)
	phased := wall.Add(-s.phase).Round(time.Minute).Add(s.phase)
	return due.Add(phased.Sub(wall))
}
