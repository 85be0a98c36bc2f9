package acceptance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/policy"
)

// client is one of Headroom's gRPC service, beside KEDA's.
func (s *site) client(with credentials.TransportCredentials) pb.ExternalScalerClient {
	s.t.Helper()
	conn, err := grpc.NewClient(s.headroom.address(), grpc.WithTransportCredentials(with))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	return pb.NewExternalScalerClient(conn)
}

// ask asks for the target of a workload, as KEDA does.
func (s *site) ask(ctx context.Context, client pb.ExternalScalerClient, workload string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	answer, err := client.GetMetrics(ctx, &pb.GetMetricsRequest{
		MetricName: "headroom",
		ScaledObjectRef: &pb.ScaledObjectRef{
			Namespace: s.namespace, Name: workload, ScalerMetadata: map[string]string{"scalerAddress": s.headroom.address(), "workload": workload},
		},
	})
	if err != nil {
		return 0, err
	}
	if n := len(answer.GetMetricValues()); n != 1 {
		return 0, fmt.Errorf("expected one value, found %d", n)
	}
	return answer.GetMetricValues()[0].GetMetricValueFloat(), nil
}

// answers waits until KEDA would hear a target.
func (s *site) answers(client pb.ExternalScalerClient, workload string, want float64) {
	s.t.Helper()
	s.wait(fmt.Sprintf("the answer for %s to be %v", workload, want), func(ctx context.Context) (bool, error) {
		got, err := s.ask(ctx, client, workload)
		if err == nil && got != want {
			err = fmt.Errorf("it is %v", got)
		}
		return err == nil, err
	})
}

// most is a policy of the fleet that allows so many replicas.
func most(f *fleet, replicas int) string {
	return database(othersWindow, f.governed("Target", fmt.Sprintf("maxReplicas: %d", replicas)))
}

// TestAnEditIsInEffectWithinTwoSeconds edits a policy several times and looks how
// long each takes to reach KEDA. A machine that is busy may be late now and then.
func TestAnEditIsInEffectWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	f := s.start(&fleet{name: "orders"})
	s.policy("policy", most(f, 2))
	s.deploy(f)
	s.send(f.queue, 100)
	client := s.client(insecure.NewCredentials())
	s.answers(client, "orders", 2)
	var took []time.Duration
	for _, replicas := range []int{3, 4, 3, 4, 3} {
		s.policy("policy", most(f, replicas))
		edited := time.Now()
		s.answers(client, "orders", float64(replicas))
		took = append(took, time.Since(edited))
	}
	slices.Sort(took)
	t.Logf("edits took %v", took)
	if median := took[len(took)/2]; median > 2*time.Second {
		t.Errorf("edits took %v: want 2 s or less", took)
	}
}

// TestABrokenEditAndADeletionChangeNothing breaks a policy, repairs it, and deletes
// it.
func TestABrokenEditAndADeletionChangeNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	f := s.start(&fleet{name: "orders"})
	s.policy("policy", most(f, 5))
	s.deploy(f)
	s.send(f.queue, 30)
	client := s.client(insecure.NewCredentials())
	s.runs("orders", 3)

	s.policy("policy", strings.Replace(most(f, 2), "messagesPerPod: 10", "messagesPerPod: 0", 1))
	if note := s.told("ConfigMap/policy", "PolicyRejected"); !strings.Contains(note, "messagesPerPod") || !strings.Contains(note, "last good version stays") {
		t.Errorf("the event says %q: want the field, and that the last good version stays", note)
	}
	s.valid("policy", 0)
	s.send(f.queue, 10)
	s.runs("orders", 4)

	s.policy("policy", most(f, 6))
	s.valid("policy", 1)
	if err := s.Client().CoreV1().ConfigMaps(s.namespace).Delete(t.Context(), "policy", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.wait("the policy to be gone", func(ctx context.Context) (bool, error) {
		_, ok, err := s.headroom.metric(ctx, "headroom_policy_valid", map[string]string{"namespace": s.namespace, "name": "policy"})
		return err == nil && !ok, err
	})
	s.send(f.queue, 20)
	s.planned("orders", "frozen", func(p policy.WorkloadPlan) bool {
		return p.Reason == policy.PolicyInvalid && p.Demand.Backlog == 6 && p.Target == 4
	})
	s.answers(client, "orders", 4)
	s.runs("orders", 4)

	s.policy("policy", most(f, 6))
	s.runs("orders", 6)
}

// valid waits until the metric says whether a policy is in force.
func (s *site) valid(name string, want float64) {
	s.t.Helper()
	s.wait(fmt.Sprintf("headroom_policy_valid of %s to be %v", name, want), func(ctx context.Context) (bool, error) {
		value, ok, err := s.headroom.metric(ctx, "headroom_policy_valid", map[string]string{"namespace": s.namespace, "name": name})
		if err == nil && (!ok || value != want) {
			err = fmt.Errorf("it is %v, %v", value, ok)
		}
		return err == nil, err
	})
}

// TestTheOldestPolicyWins claims a workload twice. The second has the name that
// comes first, and is younger.
func TestTheOldestPolicyWins(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	f := s.start(&fleet{name: "orders"})
	s.policy("the-first", most(f, 2))
	s.deploy(f)
	s.send(f.queue, 100)
	client := s.client(insecure.NewCredentials())
	s.answers(client, "orders", 2)

	first, err := s.Client().CoreV1().ConfigMaps(s.namespace).Get(t.Context(), "the-first", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// The API server keeps times to the second.
	s.wait("the next second", func(context.Context) (bool, error) {
		return time.Since(first.CreationTimestamp.Time) > 1100*time.Millisecond, nil
	})
	second := "apiVersion: keda-headroom.github.io/v1alpha1\nkind: Policy\nworkloads:\n" + f.governed("Target", "maxReplicas: 5")
	s.policy("another", second)
	if note := s.told("ConfigMap/another", "PolicyConflict"); !strings.Contains(note, "the-first") {
		t.Errorf("the event says %q: want who is in force instead", note)
	}
	s.valid("another", 0)
	s.valid("the-first", 1)
	s.answers(client, "orders", 2)

	if err := s.Client().CoreV1().ConfigMaps(s.namespace).Delete(t.Context(), "another", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.policy("the-first", most(f, 3))
	s.answers(client, "orders", 3)
}
