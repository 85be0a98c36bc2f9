package scaler

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/keda-headroom/headroom/internal/fakeaws"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/cloudwatch"
	"github.com/keda-headroom/headroom/metrics/poll"
	"github.com/keda-headroom/headroom/metrics/sqs"
	"github.com/keda-headroom/headroom/policy"
)

// published opens the places of a local CloudWatch.
type published struct{ *cloudwatch.Client }

func (p published) Find(q policy.SQS) (cloudwatch.Place, string, error) {
	return p.Client.Find(sqs.Location{URL: q.QueueURL, Name: q.QueueName, Region: q.Region})
}

func (p published) Open(place cloudwatch.Place, names func() []string) poll.Source[cloudwatch.Queues] {
	return p.Client.Open(place, names)
}

func TestPointsAreReadTogetherForThoseWhoAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := fakeaws.New(fakeaws.Options{Region: "eu-west-1", PublishingDelay: time.Minute})
		config := server.InProcess()
		client, err := cloudwatch.New(t.Context(), cloudwatch.Options{Config: &config})
		if err != nil {
			t.Fatal(err)
		}
		sdk := awssqs.NewFromConfig(config)
		for _, name := range []string{"shared", "invoices"} {
			if _, err := sdk.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: aws.String(name)}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10*time.Minute + 20*time.Second)

		sys := &systems{}
		open := sys.open()
		open.Points = published{client}
		s := NewSources(SourcesOptions{Open: open, Observe: func(source, name string, _ time.Time, _ time.Duration, err error) {
			if source == sourcePoints {
				sys.note(&sys.logged, name)
			}
		}})
		defer s.Close()

		// Two workloads take from one queue, a third doesn't ask, a fourth can't.
		third, fourth := metrics.ID{Namespace: "shop", Name: "third"}, metrics.ID{Namespace: "shop", Name: "fourth"}
		set := shop(orders, invoices, third, fourth)
		for i := range set.Workloads {
			set.Workloads[i].SQS.QueueName = "shared"
			set.Workloads[i].SQS.MaxMessageAge = 2 * time.Minute
		}
		set.Workloads[2].SQS.MaxMessageAge = 0
		set.Workloads[3].SQS.QueueName, set.Workloads[3].SQS.QueueURL = "", "ftp://example.com"
		s.Use(set)
		synctest.Wait()
		points := s.Snapshot(group(set)).Points
		for _, id := range []metrics.ID{orders, invoices} {
			p, ok := points[id].Last()
			if !ok || len(p.Minutes) < 8 || points[id].Problem() != "" {
				t.Errorf("%s: %d minutes, %v, %q", id, len(p.Minutes), ok, points[id].Problem())
			}
		}
		if _, ok := points[third]; ok {
			t.Error("a workload that doesn't ask has points")
		}
		if problem := points[fourth].Problem(); !strings.Contains(problem, "queue URL") {
			t.Errorf("a queue that can't be: %q", problem)
		}
		calls := server.Calls()["GetMetricData"]
		if calls != 1 {
			t.Errorf("%d calls", calls)
		}
		if read := sys.take(&sys.logged); !slices.Equal(read, []string{"eu-west-1"}) {
			t.Errorf("read %q", read)
		}
		time.Sleep(10 * time.Minute)
		if calls := server.Calls()["GetMetricData"]; calls < 10 || calls > 11 {
			t.Errorf("%d calls in 10 minutes", calls)
		}
		wantTimes(t, s, "eu-west-1")

		// An edit adds a queue: it is asked about at once, and what was known stays.
		set = shop(orders, invoices)
		set.Workloads[0].SQS.QueueName, set.Workloads[0].SQS.MaxMessageAge = "shared", time.Minute
		set.Workloads[1].SQS.QueueName, set.Workloads[1].SQS.MaxMessageAge = "invoices", time.Minute
		calls = server.Calls()["GetMetricData"]
		s.Use(set)
		if p, ok := s.Snapshot(group(set)).Points[orders].Last(); !ok || len(p.Minutes) < 18 {
			t.Errorf("after the edit: %v, %v", p, ok)
		}
		synctest.Wait()
		if p, ok := s.Snapshot(group(set)).Points[invoices].Last(); !ok || len(p.Minutes) < 18 || server.Calls()["GetMetricData"] != calls+1 {
			t.Errorf("the new queue: %v, %v, after %d calls", p, ok, server.Calls()["GetMetricData"]-calls)
		}

		// Refused: what is known stays, with the reason.
		server.Inject(fakeaws.AccessDenied("GetMetricData"))
		time.Sleep(2 * time.Minute)
		reading := s.Snapshot(group(set)).Points[orders]
		if _, ok := reading.Last(); !ok || !strings.Contains(reading.Problem(), "cloudwatch:GetMetricData") {
			t.Errorf("refused: %v, %q", ok, reading.Problem())
		}

		// Nobody asks: nothing is read.
		s.Use(shop(orders))
		calls = server.Calls()["GetMetricData"]
		time.Sleep(time.Hour)
		if more := server.Calls()["GetMetricData"] - calls; more != 0 {
			t.Errorf("%d calls that nobody asked for", more)
		}
		wantTimes(t, s, "")
	})
}

// wantTimes holds which place has a time of its last reading.
func wantTimes(t *testing.T, s *Sources, place string) {
	t.Helper()
	got := ""
	for _, r := range s.ReadingTimes() {
		if r.Source == sourcePoints && !r.Began.IsZero() {
			got += r.Name
		}
	}
	if got != place {
		t.Errorf("times of %q, want %q", got, place)
	}
}

// A queue that CloudWatch has a problem with says so, and the others don't.
func TestAProblemOfOneQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := (&systems{}).open()
		open.Points = scripted{}
		s := NewSources(SourcesOptions{Open: open})
		defer s.Close()
		set := shop(orders, invoices)
		for i := range set.Workloads {
			set.Workloads[i].SQS.MaxMessageAge = time.Minute
		}
		s.Use(set)
		synctest.Wait()
		points := s.Snapshot(group(set)).Points
		if got := points[orders].Problem(); got != "CloudWatch answers Forbidden for NumberOfMessagesSent" {
			t.Errorf("%q", got)
		}
		if _, ok := points[invoices].Last(); !ok || points[invoices].Problem() != "" {
			t.Errorf("%v, %q", ok, points[invoices].Problem())
		}
	})
}

type scripted struct{}

func (scripted) Find(q policy.SQS) (cloudwatch.Place, string, error) {
	return cloudwatch.Place{Region: "eu-west-1"}, q.QueueName, nil
}

func (scripted) Open(cloudwatch.Place, func() []string) poll.Source[cloudwatch.Queues] {
	return readsPoints(func(context.Context) (cloudwatch.Queues, error) {
		return cloudwatch.Queues{
			orders.Name:   {Problem: "CloudWatch answers Forbidden for NumberOfMessagesSent"},
			invoices.Name: {},
		}, nil
	})
}

type readsPoints func(context.Context) (cloudwatch.Queues, error)

func (r readsPoints) Read(ctx context.Context) (cloudwatch.Queues, error) { return r(ctx) }
