package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"pgregory.net/rapid"

	"github.com/keda-headroom/headroom/internal/fakeaws"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/awscall"
	"github.com/keda-headroom/headroom/metrics/sqs"
)

func TestTheLifeOfAQueueAsCloudWatchTellsIt(t *testing.T) {
	inWorld(t, fakeaws.Options{PublishingDelay: 3 * time.Minute}, func(w *world) {
		url, fifo := w.queue("orders"), w.queue("orders.fifo")
		handle := w.poll()

		// Minute 0: two messages in each. Nothing is published for 3 minutes after it.
		time.Sleep(20 * time.Second)
		w.send(url, 2)
		w.send(fifo, 2)
		synctest.Wait()
		time.Sleep(3 * time.Minute) // 3:20
		queues, ok := handle.Reading().Last()
		if !ok || len(queues) != 2 || len(queues["orders"].Points.Minutes) != 0 {
			t.Fatalf("after 3 minutes: %+v, %v (%s)", queues, ok, handle.Reading().Problem())
		}
		w.receive(url, true) // minute 3
		w.receive(fifo, false)

		time.Sleep(time.Minute) // 4:20: minute 0 is there
		queues, _ = handle.Reading().Last()
		w.want("sent", queues["orders"].Points, sent, "0:2")
		w.want("a metric of FIFO queues", queues["orders"].Points, groups, "0:?")
		w.want("groups", queues["orders.fifo"].Points, groups, "0:0")
		before := queues["orders"].Points

		time.Sleep(4 * time.Minute) // 8:20: minute 4 is there
		queues, _ = handle.Reading().Last()
		w.want("sent", queues["orders"].Points, sent, "0:2 1:0 2:0 3:0 4:0")
		w.want("received", queues["orders"].Points, received, "0:0 1:0 2:0 3:1 4:0")
		w.want("deleted", queues["orders"].Points, deleted, "0:0 1:0 2:0 3:1 4:0")
		w.want("age", queues["orders"].Points, age, "0:0 1:40 2:100 3:160 4:220")
		w.want("groups", queues["orders.fifo"].Points, groups, "0:0 1:0 2:0 3:0 4:0") // 30 s of visibility timeout, at 3:20
		w.want("what was handed out before", before, sent, "0:2")

		// An hour is kept.
		time.Sleep(2 * time.Hour)
		queues, _ = handle.Reading().Last()
		minutes := queues["orders"].Points.Minutes
		if first := minutes[0].Start; len(minutes) != 57 || time.Since(first) > Kept+time.Minute {
			t.Errorf("%d minutes are kept, from %s ago, want 57 (an hour, but for 3 that are late)", len(minutes), time.Since(first))
		}
	})
}

func TestEachMinuteOneCallALittleAfterItsBeginning(t *testing.T) {
	inWorld(t, fakeaws.Options{}, func(w *world) {
		time.Sleep(47 * time.Second) // the first read may come at any time
		w.queue("orders")
		w.poll()
		time.Sleep(time.Hour)
		reads := w.reads()
		if calls := w.Calls()["GetMetricData"]; calls < 60 || calls > 61 {
			t.Errorf("%d calls in an hour", calls)
		}
		for i, began := range reads[1:] {
			if phase := began.Sub(began.Truncate(time.Minute)); phase < earliest || phase >= latest {
				t.Errorf("read %d began %s after the minute", i+1, phase)
			}
		}
	})
}

// Whatever CloudWatch does with its points, a value is known exactly if it was
// there to be read, and it is the right one.
func TestPointsComeAsTheyLike(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		seed := rapid.Uint64().Draw(r, "seed")
		worst := time.Duration(rapid.IntRange(0, 13*60).Draw(r, "longest delay, s")) * time.Second
		never := rapid.IntRange(0, 3).Draw(r, "never published, of 8")
		outages := rapid.SliceOfN(rapid.IntRange(0, 13), 0, 5).Draw(r, "reads without an answer")
		gaps := rapid.SliceOfN(rapid.IntRange(30, 600), 14, 14).Draw(r, "seconds before each read")
		var failure string
		inWorld(t, fakeaws.Options{}, func(w *world) {
			publishing := func(m fakeaws.Metric, start time.Time) (time.Duration, bool) {
				h := hash(fmt.Sprint(seed, m, start.UnixNano()))
				if h%8 < uint64(never) {
					return 0, false
				}
				return time.Duration(h>>8) % (worst + 1), true
			}
			w.SetPublishing(publishing)
			w.queue("orders")
			source := w.source()
			truth := map[time.Time]float64{}
			for nth, gap := range gaps {
				w.send("http://fakeaws.invalid/000000000000/orders", nth%3)
				truth[time.Now().UTC().Truncate(time.Minute)] += float64(nth % 3)
				time.Sleep(time.Duration(gap) * time.Second)
				now := time.Now().UTC()
				if slices.Contains(outages, nth) {
					lift := w.Inject(fakeaws.Unavailable("GetMetricData"))
					if _, err := source.Read(w.Context()); err == nil {
						failure = "a read in an outage works"
					}
					lift()
					continue
				}
				known := map[time.Time]metrics.Minute{}
				for _, m := range w.mustRead(source)["orders"].Points.Minutes {
					known[m.Start] = m
				}
				for start, value := range truth {
					delay, ok := publishing(fakeaws.Metric{Namespace: "AWS/SQS", Name: "NumberOfMessagesSent", Dimension: "QueueName", Value: "orders"}, start)
					want := ok && !start.Add(time.Minute+delay).After(now) && !start.Before(now.Truncate(time.Minute).Add(-Kept))
					got := known[start].Sent
					switch {
					case want != (got != nil):
						failure = fmt.Sprintf("read %d: %s, published after %s (%v): known is %v, want %v", nth, start, delay, ok, got != nil, want)
					case want && *got != value:
						failure = fmt.Sprintf("read %d: %s: got %v, want %v", nth, start, *got, value)
					}
				}
			}
		})
		if failure != "" {
			r.Fatal(failure)
		}
	})
}

func hash(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return h.Sum64()
}

func TestRefusedItIsAskedRarely(t *testing.T) {
	inWorld(t, fakeaws.Options{}, func(w *world) {
		url := w.queue("orders")
		lift := w.Inject(fakeaws.AccessDenied("GetMetricData"))
		handle := w.poll()
		synctest.Wait()
		if _, ok := handle.Reading().Last(); ok {
			t.Error("something is known")
		}
		for _, part := range []string{
			"GetMetricData of queues in eu-west-1: access denied: the caller needs cloudwatch:GetMetricData on \"*\"",
			`add {"Effect": "Allow", "Action": "cloudwatch:GetMetricData", "Resource": "*"} to its policy`,
			"It is tried again every 15m0s", "user/local is not authorized",
		} {
			if !strings.Contains(handle.Reading().Problem(), part) {
				t.Errorf("%s\nwant %q in it", handle.Reading().Problem(), part)
			}
		}
		time.Sleep(24 * time.Hour)
		if calls := w.calls("denied"); calls < 90 || calls > 106 {
			t.Errorf("%d calls in a day of refusals, want one each 15 minutes or so", calls)
		}

		// Somebody gives the permission: from then on it is every minute again.
		lift()
		w.send(url, 1) // wakes the queue, which CloudWatch hears 15 minutes later
		time.Sleep(RefusedRetry * 11 / 10)
		if problem := handle.Reading().Problem(); problem != "" {
			t.Errorf("allowed by now, and still: %s", problem)
		}
		before := w.calls("ok")
		time.Sleep(10 * time.Minute)
		if calls := w.calls("ok") - before; calls < 9 || calls > 11 {
			t.Errorf("%d calls in 10 minutes once it is allowed", calls)
		}

		// Taken away again, what was known stays, with the problem.
		w.Inject(fakeaws.AccessDenied("GetMetricData"))
		time.Sleep(2 * time.Minute)
		queues, ok := handle.Reading().Last()
		if !ok || len(queues["orders"].Points.Minutes) == 0 || handle.Reading().Problem() == "" {
			t.Errorf("%v, %v, %q", queues, ok, handle.Reading().Problem())
		}
	})
}

func TestCredentialsThatComeLater(t *testing.T) {
	inWorld(t, fakeaws.Options{}, func(w *world) {
		w.queue("orders")
		var there atomic.Bool
		config := w.InProcess()
		config.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			if !there.Load() {
				return aws.Credentials{}, errors.New("the agent is not up yet")
			}
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"}, nil
		})
		w.client = w.newClient(config)
		handle := w.poll()
		synctest.Wait()
		if problem := handle.Reading().Problem(); !strings.Contains(problem, "no credentials: ") || !strings.Contains(problem, "the agent is not up yet") {
			t.Errorf("%q", problem)
		}
		there.Store(true)
		time.Sleep(2 * time.Minute)
		if _, ok := handle.Reading().Last(); !ok {
			t.Errorf("2 minutes later: %s", handle.Reading().Problem())
		}
	})
}

func TestWhatAnOutageHidIsMadeUpFor(t *testing.T) {
	for name, fault := range map[string]fakeaws.Fault{
		"throttled": fakeaws.Throttled("GetMetricData"), "hanging": {Operations: []string{"GetMetricData"}, Hang: true},
		"unreachable": {Drop: true}, "in trouble": fakeaws.Unavailable(),
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, fakeaws.Options{}, func(w *world) {
				url := w.queue("orders")
				handle := w.poll()
				time.Sleep(5*time.Minute + 30*time.Second)
				lift := w.Inject(fault)
				calls := w.Calls()["GetMetricData"]
				time.Sleep(25 * time.Minute)
				if calls := w.Calls()["GetMetricData"] - calls; calls < 5 || calls > 24 {
					t.Errorf("%d calls in 25 minutes", calls)
				}
				queues, ok := handle.Reading().Last()
				if !ok || len(queues["orders"].Points.Minutes) != 5 || handle.Reading().Problem() == "" {
					t.Errorf("in the outage: %v, %v, %q", queues, ok, handle.Reading().Problem())
				}
				lift()
				w.send(url, 1)
				time.Sleep(MaxBackoff + time.Minute)
				queues, _ = handle.Reading().Last()
				minutes := queues["orders"].Points.Minutes
				if handle.Reading().Problem() != "" || len(minutes) < 31 {
					t.Fatalf("after the outage: %d minutes, %q", len(minutes), handle.Reading().Problem())
				}
				for i, m := range minutes {
					if m.Sent == nil || m.Start.Sub(w.began) != time.Duration(i)*time.Minute {
						t.Errorf("minute %d: %+v", i, m)
					}
				}
			})
		})
	}
}

func TestANewQueueComesWithItsHour(t *testing.T) {
	inWorld(t, fakeaws.Options{}, func(w *world) {
		w.queue("orders")
		w.queue("later")
		w.asked = []string{"orders", "orders"}
		source := w.source()
		time.Sleep(40 * time.Minute)
		if queues := w.mustRead(source); len(queues) != 1 || len(queues["orders"].Points.Minutes) != 40 {
			t.Errorf("%v", queues)
		}
		w.ask("later")
		queues := w.mustRead(source)
		if len(queues["later"].Points.Minutes) != 40 {
			t.Errorf("of the new queue %d minutes are known, want 40", len(queues["later"].Points.Minutes))
		}
		// A queue that nobody asks about is forgotten; nothing is published of one
		// that is not there.
		w.asked = []string{"none"}
		if queues := w.mustRead(source); len(queues) != 1 || len(queues["none"].Points.Minutes) != 0 || queues["none"].Problem != "" {
			t.Errorf("%v", queues)
		}
		w.asked = nil
		calls := w.calls("ok")
		if queues := w.mustRead(source); len(queues) != 0 || w.calls("ok") != calls {
			t.Errorf("nobody asks: %v, %d calls", queues, w.calls("ok")-calls)
		}
	})
}

func TestManyQueuesOverTheNetwork(t *testing.T) {
	server := fakeaws.New(fakeaws.Options{Region: "eu-west-1", PageDatapoints: 300})
	if _, err := server.Start(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	config := server.Config()
	w := &world{T: t, Server: server, sdk: awssqs.NewFromConfig(config), requests: map[string]int{}}
	w.client = w.newClient(config)
	for i := range 120 {
		w.send(w.queue(fmt.Sprintf("orders-%d", i)), i%3)
	}
	w.send(w.queue("orders.fifo"), 1)

	place, name, err := w.client.Find(sqs.Location{URL: server.URL() + "/000000000000/orders.fifo"})
	if err != nil || name != "orders.fifo" || place.String() != "eu-west-1 at "+server.URL() {
		t.Fatalf("%v, %q, %v", place, name, err)
	}
	source := w.client.Open(place, w.names)
	queues, err := source.Read(within(t))
	if err != nil || len(queues) != 121 {
		t.Fatalf("%d queues, %v", len(queues), err)
	}
	if calls := server.Calls()["GetMetricData"]; calls != 1 {
		t.Errorf("%d calls for 485 metrics, want 1", calls)
	}
	for i := range 4 {
		w.queue(fmt.Sprintf("billing-%d", i)) // 501 metrics
	}
	if queues, err := source.Read(within(t)); err != nil || len(queues) != 125 {
		t.Fatalf("%d queues, %v", len(queues), err)
	}
	if calls := server.Calls()["GetMetricData"]; calls != 3 {
		t.Errorf("%d calls, want 2 more for 501 metrics", calls)
	}
	if got := w.requests; !maps.Equal(got, map[string]int{"cloudwatch/GetMetricData/ok": 3}) {
		t.Errorf("requests %v", got)
	}
}

func TestPagesAreFollowed(t *testing.T) {
	inWorld(t, fakeaws.Options{PageDatapoints: 7}, func(w *world) {
		for i := range 3 {
			w.send(w.queue(fmt.Sprintf("orders-%d", i)), i)
		}
		time.Sleep(20 * time.Minute)
		queues := w.mustRead(w.source())
		if calls := w.Calls()["GetMetricData"]; calls != 35 { // 3 × 4 × 20 points
			t.Errorf("%d pages", calls)
		}
		for i := range 3 {
			minutes := queues[fmt.Sprintf("orders-%d", i)].Points.Minutes
			if len(minutes) != 20 || minutes[0].Sent == nil || *minutes[0].Sent != float64(i) || minutes[19].OldestAge == nil {
				t.Errorf("queue %d: %+v", i, minutes)
			}
		}
	})
	inWorld(t, fakeaws.Options{PageDatapoints: 1}, func(w *world) {
		w.queue("orders")
		time.Sleep(time.Hour)
		_, err := w.source().Read(w.Context())
		if err == nil || !strings.Contains(err.Error(), "expected at most 100 pages, found more") {
			t.Errorf("pages without end: %v", err)
		}
	})
}

func TestWhatIsNoValueIsNotKnown(t *testing.T) {
	h, at := history{}, time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)
	for _, bad := range []float64{-1, nan(), -inf(), inf()} {
		if h.merge(asked[0], at, bad) || len(h) != 0 {
			t.Errorf("%v is taken for a value", bad)
		}
	}
	// A value that was published too early is put right later.
	if !h.merge(asked[0], at, 3) || h.merge(asked[0], at, 3) {
		t.Error("a value is news once")
	}
	before := h.points()
	if !h.merge(asked[0], at, 5) || *before.Minutes[0].Sent != 3 || *h.points().Minutes[0].Sent != 5 {
		t.Error("what was handed out has changed, or what is known has not")
	}
	if got := h.points().Minutes[0]; !got.Start.Equal(at.Truncate(time.Minute)) || got.OldestAge != nil {
		t.Errorf("%+v", got)
	}
	h.forget(at.Add(-time.Hour), at.Add(-time.Minute)) // the clock was set back
	if len(h) != 0 {
		t.Errorf("the future is known: %v", h)
	}
}

func TestErrorsCarryNoSecretsAndTheirCause(t *testing.T) {
	inWorld(t, fakeaws.Options{}, func(w *world) {
		w.queue("orders")
		w.Inject(fakeaws.Fault{Status: 400, Code: "InvalidParameterValue", Message: "wJalrXUtnFEMI/K7MDENG is your secret"})
		config := w.InProcess()
		config.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG"}, nil
		})
		w.client = w.newClient(config)
		_, err := w.source().Read(w.Context())
		if err == nil || strings.Contains(err.Error(), "wJalr") || !strings.Contains(err.Error(), "CloudWatch refuses the request (InvalidParameterValue): [redacted]") {
			t.Errorf("%v", err)
		}
		w.Inject(fakeaws.Fault{Hang: true})
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		w.client = w.newClient(w.InProcess())
		var e *awscall.Error
		if _, err := w.source().Read(ctx); !errors.As(err, &e) || e.Result == awscall.ResultOK {
			t.Errorf("%v", err)
		}
	})
}
