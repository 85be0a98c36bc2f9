package acceptance

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/keda-headroom/headroom/policy"
)

const scaledJob = `
apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata: {name: $FLEET, namespace: $NAMESPACE}
spec:
 pollingInterval: 1
 maxReplicaCount: $MAXREPLICAS
 successfulJobsHistoryLimit: 0
 failedJobsHistoryLimit: 0
 scalingStrategy: {$STRATEGY}
 triggers:
 - type: $TRIGGER
   metadata: {scalerAddress: "$HEADROOM", workload: $FLEET}
 jobTargetRef:
  backoffLimit: 2
  podReplacementPolicy: Failed
  template:
   spec: $PODSPEC
`

// scaledJob is the fleet as Jobs that take so many messages each; 0 is any number,
// for ever.
func (s *site) scaledJob(f *fleet, strategy string, messages int) string {
	return s.fill(scaledJob, "FLEET", f.name, "MAXREPLICAS", strconv.Itoa(f.max), "STRATEGY", strategy, "TRIGGER", f.trigger,
		"PODSPEC", s.podSpec(f, "restartPolicy: Never", strconv.Itoa(messages)))
}

// TestJobsOfEveryStrategyStayWithinTheCeiling drains a queue by Jobs: twice as many
// as the database carries are wanted.
func TestJobsOfEveryStrategyStayWithinTheCeiling(t *testing.T) {
	t.Parallel()
	for _, strategy := range []struct{ name, trigger, yaml string }{
		{"default", "external", "strategy: default"},
		{"custom", "external", `strategy: custom, customScalingQueueLengthDeduction: 1, customScalingRunningJobPercentage: "0.5"`},
		{"accurate", "external", "strategy: accurate"},
		{"eager", "external", "strategy: eager"},
	} {
		t.Run(strategy.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			f := s.start(&fleet{name: "reports", trigger: strategy.trigger, works: true, work: time.Second, messagesPerPod: 5})
			s.policy("policy", database(othersWindow, f.governed("Target", "scaledJobRef: {name: reports}")))
			jobs := s.followJobs()
			s.apply(s.scaledJob(f, strategy.yaml, f.messagesPerPod))
			s.planned("reports", "nothing to do", func(p policy.WorkloadPlan) bool { return p.Reason == policy.Demand && p.Target == 0 })

			const messages = 2 * capacity * 5
			s.send(f.queue, messages)
			s.wait("the queue to be empty", func(context.Context) (bool, error) {
				left := s.truth("reports")
				return left.Visible+left.InFlight == 0, fmt.Errorf("%d of %d messages are left, running Jobs were %v", left.Visible+left.InFlight, messages, jobs.all())
			})
			s.wait("the Jobs to end", func(context.Context) (bool, error) {
				return jobs.now() == 0, fmt.Errorf("there were %v", jobs.all())
			})
			if got := s.handled(); got != messages {
				t.Errorf("Jobs handled %d of %d messages", got, messages)
			}
			if most := jobs.most(); most > capacity || most < 2 {
				t.Errorf("running Jobs were %v: want several and never more than %d", jobs.all(), capacity)
			}
			if n := s.refused(s.namespace); n > 0 {
				t.Errorf("workers were refused %d connections", n)
			}
		})
	}
}

// followJobs notes how many Jobs of the site were unfinished at any time.
func (s *site) followJobs() *replicas {
	s.t.Helper()
	r := &replicas{}
	informer := informers.NewSharedInformerFactoryWithOptions(s.Client(), 0, informers.WithNamespace(s.namespace)).Batch().V1().Jobs().Informer()
	note := func() {
		n := 0
		for _, o := range informer.GetStore().List() {
			if j, ok := o.(*batchv1.Job); ok && !finished(j) {
				n++
			}
		}
		r.note(n)
	}
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { note() }, UpdateFunc: func(any, any) { note() }, DeleteFunc: func(any) { note() },
	}); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { informer.Run(ctx.Done()) })
	s.t.Cleanup(func() { cancel(); ended.Wait() })
	if !cache.WaitForCacheSync(s.t.Context().Done(), informer.HasSynced) {
		s.t.Fatal("the API server lists no Jobs")
	}
	return r
}

func finished(j *batchv1.Job) bool {
	for _, c := range j.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}
