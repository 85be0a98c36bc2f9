package clairvoyant_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/arrivals"
	"github.com/keda-headroom/headroom/internal/clairvoyant"
	"github.com/keda-headroom/headroom/internal/forecast"
	"github.com/keda-headroom/headroom/policy"
)

const objectivePolicy = `
apiVersion: keda-headroom.github.io/v1alpha1
kind: Policy
metadata: {namespace: shop}
databases:
- {name: orders-db, postgresql: {dsn: {env: DSN}}, reserve: 10}
workloads:
- name: workers
  mode: Target
  maxReplicas: 60
  sqs: {queueName: workers, messagesPerPod: 20, maxMessageAge: 2m, concurrency: 5}
  databaseRefs: [{name: orders-db, user: worker, connectionsPerPod: 5}]
`

// TestTheObjectiveIsNearTheBest: on real traffic, an objective of two minutes keeps at
// least 99 of 100 messages that anybody could have kept, for at most 1.15 times the pod
// hours of a planner who knows all that will come. With HEADROOM_TRACES=all two days of
// each trace are played, else what the day begins with.
func TestTheObjectiveIsNearTheBest(t *testing.T) {
	all := os.Getenv("HEADROOM_TRACES") == "all"
	length, services := 8*time.Hour, []string{"exponential"}
	if all {
		length, services = 48*time.Hour, []string{"fixed", "exponential", "heavy"}
	}
	for _, name := range []string{"elb_request_count", "twitter_volume_amzn"} {
		for _, distribution := range services {
			t.Run(name+"/"+distribution, func(t *testing.T) {
				w, g := objectiveWorld(t, name, distribution, length)
				out, err := forecast.Run(t.Context(), w, forecast.Contender{Name: "headroom", Headroom: &g})
				if err != nil {
					t.Fatal(err)
				}
				p := clairvoyant.Of(w)
				reach, kept := p.Reach()
				planned := p.Plan(reach)
				ofReachable, relative := float64(out.Kept)/float64(kept), out.PodHours/planned.PodHours
				report := fmt.Sprintf("%.3f %% of what could be kept, for %.1f pod hours, %.3f of the planner's", 100*ofReachable, out.PodHours, relative)
				if ofReachable < 0.99 || relative > 1.15 {
					t.Error(report)
				}
				t.Log(report)
			})
		}
	}
}

func objectiveWorld(t *testing.T, trace, distribution string, length time.Duration) (forecast.World, policy.Group) {
	t.Helper()
	data, err := os.ReadFile("../arrivals/testdata/" + trace + ".csv")
	if err != nil {
		t.Fatal(err)
	}
	came, err := arrivals.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if came, err = came.Cut(0, length); err != nil {
		t.Fatal(err)
	}
	documents, problems := policy.Parse(policy.Source{Where: "policy"}, []byte(objectivePolicy))
	set, more := policy.Resolve(documents)
	if len(problems)+len(more) > 0 {
		t.Fatal(problems, more)
	}
	group := set.Groups(nil)[0]
	service, err := forecast.ParseService(distribution, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return forecast.World{
		Arrivals: came, Scale: 20, Seed: 1, Service: service, Concurrency: 5, StartUp: 10 * time.Second, Grace: 30 * time.Second,
		MinReplicas: 1, MaxReplicas: 60, Objective: 2 * time.Minute, SyncOffset: 4 * time.Second, PublishDelay: 3 * time.Minute, Patience: 24 * time.Hour,
		Servers: []forecast.Server{{ID: group.Databases[0].ID, Limit: 200, PerPod: 5, Reserve: 10, Others: []forecast.Level{{Connections: 20}}}},
	}, group
}
