package serve

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"

	"github.com/keda-headroom/headroom/internal/fakeaws"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/why"
)

// objective is a shop's whose messages are to be done in ten minutes. CloudWatch
// measures at the end of each minute here, and publishes at once.
func objective(t *testing.T, fields string) *shop {
	on := patient
	on.pollInterval, on.messagesPerPod, on.objective = "5s", 40, ", maxMessageAge: 10m"+fields
	on.published = fakeaws.Options{SampleOffset: 59 * time.Second}
	s := newShop(t, on)
	// What is known of CloudWatch is the policy's queueURL: whoever imitates SQS there
	// imitates both.
	s.options.AWS.BaseEndpoint = nil
	return s
}

// asked is the answer of `headroom why`.
func (s *shop) asked() string {
	s.t.Helper()
	code, body := s.get(s.t, why.Path+"?"+url.Values{"workload": {orders.String()}}.Encode())
	if code != http.StatusOK {
		s.t.Fatalf("why: %d %s", code, body)
	}
	return body
}

// TestTheObjectiveIsFollowedByWhatCloudWatchTells: 40 messages of half a minute wait
// when Headroom starts, and nobody knows since when. CloudWatch tells: one pod, as
// messages per pod would have it, needs twenty minutes, and 3 or 4 do them in ten.
func TestTheObjectiveIsFollowedByWhatCloudWatchTells(t *testing.T) {
	t.Parallel()
	s := objective(t, ", secondsPerMessage: 30")
	// A minute of which nearly all was watched counts as watched: what is sent before must
	// not be in one that hardly has begun.
	eventually(t, s.log, "a minute that has begun", func() (string, bool) {
		now := time.Now()
		return now.String(), now.Second() >= 8
	})
	sent := time.Now()
	s.send(40)
	s.open()
	s.sees("messages of an age that nobody knows", func(p seen) bool {
		o := p.Demand.Objective
		return o != nil && !o.Age.Known && strings.Contains(o.Fallback, "CloudWatch has told nothing yet")
	})
	p := s.sees("the objective", func(p seen) bool {
		return p.Demand.Objective != nil && p.Demand.Objective.Fallback == "" && p.database.Starting == ""
	})
	o := p.Demand.Objective
	age := p.at.Sub(sent).Seconds()
	if !o.Age.Known || !o.Age.DataKnown || o.Age.Seconds+o.Age.Uncertainty < age-1 || o.Age.Seconds > age+61 { // CloudWatch doesn't say when in its minute it looked
		t.Errorf("the oldest message is %.1f s old, and is taken for %+v", age, o.Age)
	}
	if o.Replicas < 3 || o.Replicas > 4 || o.ByMessages != 1 || p.Target != o.Replicas || p.Reason != policy.Demand {
		t.Errorf("the target is %d (%s: %s), of the objective %+v", p.Target, p.Reason, p.Sentence, o)
	}
	eventually(t, s.log, "KEDA is told what the objective asks for", func() (string, bool) {
		answer, err := s.keda.GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ask(orders)})
		if err != nil {
			return err.Error(), false
		}
		o := s.sees("a plan", func(p seen) bool { return p.Demand.Objective != nil }).Demand.Objective
		return fmt.Sprintf("%s, of %+v", answer, o), o.Fallback == "" && answer.GetMetricValues()[0].GetMetricValueFloat() == float64(o.Replicas)
	})
	s.shows(`headroom_workload_objective_seconds{namespace="shop",workload="order-workers"} 600`)
	s.shows(`headroom_workload_demand_replicas{namespace="shop",source="backlog",workload="order-workers"} 1`)
	s.counts(`headroom_workload_demand_replicas{namespace="shop",source="objective",workload="order-workers"}`, 2)
	s.counts(`headroom_workload_oldest_message_age_seconds{namespace="shop",workload="order-workers"}`, age-o.Age.Uncertainty-1)
	s.counts(`headroom_workload_newest_point_timestamp_seconds{namespace="shop",workload="order-workers"}`, float64(sent.Add(-time.Minute).Unix()))
	s.counts(`headroom_aws_requests_total{operation="GetMetricData",result="ok",service="cloudwatch"}`, 0)
	if body := s.asked(); !strings.Contains(body, "the objective of 10m asks for") {
		t.Errorf("why does not speak of the objective: %s", body)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// TestIAMRefusesCloudWatch: messages per pod decide, and it is said why: in the plan, by
// `headroom why` and in the log. Nothing else is the worse for it, and IAM is not asked
// again and again.
func TestIAMRefusesCloudWatch(t *testing.T) {
	t.Parallel()
	s := objective(t, "")
	lift := s.aws.Inject(fakeaws.AccessDenied("GetMetricData"))
	defer lift()
	s.send(100)
	s.open()
	p := s.sees("the refusal", func(p seen) bool {
		return p.Demand.Objective != nil && strings.Contains(p.Sentence, "cloudwatch:GetMetricData") && p.database.Starting == ""
	})
	o := p.Demand.Objective
	if !strings.Contains(o.Fallback, "not measured yet") || o.Replicas != 0 || o.Age.Known || p.Demand.Backlog != 3 || p.Reason != policy.Demand {
		t.Errorf("100 messages at 40 a pod: asked for %d because of %s, of the objective %+v", p.Demand.Backlog, p.Reason, o)
	}
	for _, part := range []string{"the queue asks for 3 replicas", "the objective can't be followed", "CloudWatch tells nothing now", `"Resource": "*"`} {
		if !strings.Contains(p.Sentence, part) {
			t.Errorf("the plan does not say %q: %s", part, p.Sentence)
		}
	}
	s.tells("100 messages at 40 a pod", 3)
	s.send(60)
	s.tells("160 messages at 40 a pod", 4)
	s.shows(`headroom_aws_requests_total{operation="GetMetricData",result="denied",service="cloudwatch"} 1`)
	s.shows(`headroom_workload_demand_replicas{namespace="shop",source="backlog",workload="order-workers"} 4`)
	for _, none := range []string{
		`headroom_workload_demand_replicas{namespace="shop",source="objective"`, "headroom_workload_oldest_message_age_seconds{", "headroom_workload_messages_per_second_per_pod{",
		"headroom_workload_newest_point_timestamp_seconds{", `headroom_workload_limited{`,
	} {
		s.lacks(none)
	}
	if body := s.asked(); !strings.Contains(body, "cloudwatch:GetMetricData") || !strings.Contains(body, "the objective can't be followed") {
		t.Errorf("why does not say what is missing: %s", body)
	}
	if log := s.log.String(); strings.Count(log, "cloudwatch:GetMetricData") == 0 {
		t.Errorf("the log does not say what is missing:\n%s", log)
	}
	if calls := s.aws.Calls()["GetMetricData"]; calls != 1 {
		t.Errorf("GetMetricData was called %d times, want once in 15 minutes", calls)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}
