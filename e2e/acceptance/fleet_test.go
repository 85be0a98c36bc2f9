package acceptance

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// fleet is workers of a site.
type fleet struct {
	name string
	// trigger is external-push or external.
	trigger string
	// messagesPerPod is the policy's; work is how long a message takes.
	messagesPerPod int
	work           time.Duration
	// works says whether the workers take messages from the fleet's queue. Else they
	// hold their connections, and the queue stays as the test leaves it.
	works bool
	// max is the ScaledObject's maxReplicaCount, min its minReplicaCount.
	min, max int
	// annotations and more are the ScaledObject's, spec is more of its spec.
	annotations, spec string
	// auth and metadata are more of the trigger.
	auth, metadata string

	queue string // URL
}

// databasePolicy describes the site's database.
const databasePolicy = `apiVersion: keda-headroom.github.io/v1alpha1
kind: Policy
databases:
- name: database
  postgresql: {dsn: {secretKeyRef: {name: database, key: dsn}}}
  reserve: $RESERVE
  othersWindow: $WINDOW
  pollInterval: 300ms
  maxReadingAge: 10s
workloads:
`

const workloadPolicy = `- name: $FLEET
  $MODE
  databaseRefs: [{name: database, user: worker, applicationName: $FLEET-, connectionsPerPod: $PERPOD}]
  sqs: {queueURL: "$QUEUE", region: $REGION, endpoint: "$ENDPOINT", messagesPerPod: $MESSAGES, pollInterval: 300ms}
  scaleDownStabilization: 1s
`

// othersWindow is how long others are remembered where a test doesn't care.
const othersWindow = "2s"

// database is a policy of the site's database, and of workloads.
func database(window string, workloads ...string) string {
	return expand(databasePolicy, "RESERVE", strconv.Itoa(reserve), "WINDOW", window) + strings.Join(workloads, "")
}

// governed is the fleet's part of a policy. more are fields of the workload.
func (f *fleet) governed(mode string, more ...string) string {
	lines := append([]string{"mode: " + mode}, more...)
	return expand(workloadPolicy, "FLEET", f.name, "MODE", strings.Join(lines, "\n  "), "PERPOD", strconv.Itoa(perPod),
		"QUEUE", f.queue, "MESSAGES", strconv.Itoa(f.messagesPerPod))
}

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: $FLEET, namespace: $NAMESPACE}
spec:
  replicas: 0
  selector: {matchLabels: {app: $FLEET}}
  strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 25%}}
  template:
    metadata: {labels: {app: $FLEET}}
    spec: $PODSPEC
`

// podSpec is a worker's. extra are more variables, as YAML.
const podSpec = `
      terminationGracePeriodSeconds: 10
      $RESTART
      containers:
      - name: worker
        image: $WORKERIMAGE
        env:
        - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: DATABASE_URL, value: "$WORKERDSN"}
        - {name: TABLE, value: handled}
        - {name: QUEUE_URL, value: "$QUEUE"}
        - {name: AWS_ENDPOINT_URL, value: "$ENDPOINT"}
        - {name: AWS_REGION, value: $REGION}
        - {name: AWS_ACCESS_KEY_ID, value: $WORKERKEY}
        - {name: AWS_SECRET_ACCESS_KEY, value: local}
        - {name: DB_POOL_SIZE, value: "$PERPOD"}
        - {name: WORK_SECONDS, value: "$WORK"}
        - {name: POLL_SECONDS, value: "1"}
        - {name: JOB_MESSAGES, value: "$JOBMESSAGES"}
`

const scaledObject = `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: $FLEET, namespace: $NAMESPACE, annotations: {$ANNOTATIONS}}
spec:
  scaleTargetRef: {name: $FLEET}
  pollingInterval: 1
  cooldownPeriod: 1
  minReplicaCount: $MINREPLICAS
  maxReplicaCount: $MAXREPLICAS
  $SPEC
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleUp:
          tolerance: "0"
          stabilizationWindowSeconds: 0
          policies: [{type: Pods, value: 1000, periodSeconds: 1}]
        scaleDown:
          tolerance: "0"
          stabilizationWindowSeconds: 0
          policies: [{type: Percent, value: 100, periodSeconds: 1}]
  triggers:
  - type: $TRIGGER
    metadata: {scalerAddress: "$HEADROOM", workload: $FLEET$METADATA}
    $AUTH
`

// start makes the fleet's queue; its policy is the test's.
func (s *site) start(f *fleet) *fleet {
	s.t.Helper()
	if f.trigger == "" {
		f.trigger = "external-push"
	}
	if f.messagesPerPod == 0 {
		f.messagesPerPod = 10
	}
	if f.max == 0 {
		f.max = 20
	}
	f.queue = s.queue(f.name)
	return f
}

// deploy makes the fleet's Deployment and ScaledObject, and waits for KEDA.
func (s *site) deploy(f *fleet) {
	s.t.Helper()
	s.apply(s.deployment(f))
	s.apply(s.scaledObject(f))
}

func (s *site) deployment(f *fleet) string {
	return s.fill(deployment, "PODSPEC", s.podSpec(f, "", ""), "FLEET", f.name)
}

// podSpec is the spec of a pod of the fleet, one of a Job's where it takes so many
// messages.
func (s *site) podSpec(f *fleet, restart, jobMessages string) string {
	queue := f.queue
	if !f.works {
		queue = s.queue("idle")
	}
	if jobMessages == "" {
		jobMessages = "0"
	}
	return s.fill(podSpec, "RESTART", restart, "WORKERIMAGE", workerImage, "WORKERDSN", s.database.DSN("worker", "postgres"),
		"QUEUE", queue, "WORKERKEY", workerKey, "PERPOD", strconv.Itoa(perPod), "WORK", fmt.Sprint(f.work.Seconds()), "JOBMESSAGES", jobMessages)
}

func (s *site) scaledObject(f *fleet) string {
	metadata := ""
	if f.metadata != "" {
		metadata = ", " + f.metadata
	}
	return s.fill(scaledObject, "FLEET", f.name, "ANNOTATIONS", f.annotations, "MINREPLICAS", strconv.Itoa(f.min), "MAXREPLICAS", strconv.Itoa(f.max),
		"SPEC", f.spec, "TRIGGER", f.trigger, "METADATA", metadata, "AUTH", f.auth)
}

// replicas is what a Deployment's spec.replicas was at any time.
type replicas struct {
	mu   sync.Mutex
	seen []int // each differs from the one before
}

// follow notes every change of the replicas of a Deployment until the test ends.
func (s *site) follow(name string) *replicas {
	s.t.Helper()
	r := &replicas{}
	informer := informers.NewSharedInformerFactoryWithOptions(s.Client(), 0, informers.WithNamespace(s.namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector("metadata.name", name).String()
		})).Apps().V1().Deployments().Informer()
	note := func(o any) {
		if d, ok := o.(*appsv1.Deployment); ok && d.Spec.Replicas != nil {
			r.note(int(*d.Spec.Replicas))
		}
	}
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: note, UpdateFunc: func(_, o any) { note(o) }}); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { informer.Run(ctx.Done()) })
	s.t.Cleanup(func() { cancel(); ended.Wait() })
	if !cache.WaitForCacheSync(s.t.Context().Done(), informer.HasSynced) {
		s.t.Fatal("the API server lists no Deployments")
	}
	return r
}

func (r *replicas) note(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seen) == 0 || r.seen[len(r.seen)-1] != n {
		r.seen = append(r.seen, n)
	}
}

// all are the numbers so far, in order.
func (r *replicas) all() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]int(nil), r.seen...)
}

// now is the latest number, -1 before the first.
func (r *replicas) now() int {
	all := r.all()
	if len(all) == 0 {
		return -1
	}
	return all[len(all)-1]
}

// most is the largest number so far.
func (r *replicas) most() int {
	most := 0
	for _, n := range r.all() {
		most = max(most, n)
	}
	return most
}

// runs waits until a Deployment wants so many replicas, and all are ready.
func (s *site) runs(name string, pods int) {
	s.t.Helper()
	s.wait(fmt.Sprintf("%s to have %d ready pods", name, pods), func(ctx context.Context) (bool, error) {
		d, err := s.Client().AppsV1().Deployments(s.namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		if int(*d.Spec.Replicas) == pods && int(d.Status.Replicas) == pods && int(d.Status.ReadyReplicas) == pods {
			return true, nil
		}
		return false, fmt.Errorf("it wants %d, has %d, of which %d are ready", *d.Spec.Replicas, d.Status.Replicas, d.Status.ReadyReplicas)
	})
}
