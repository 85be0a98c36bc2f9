package node_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/jackc/pgx/v5"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/e2e/node"
	"github.com/keda-headroom/headroom/internal/fakeaws"
	"github.com/keda-headroom/headroom/internal/pgserver"
	"github.com/keda-headroom/headroom/internal/pgserver/pgtest"
)

const queueName = "orders"

// fleet is a site with a database and a queue for its workers.
type fleet struct {
	*site
	server *pgserver.Server
	queues *fakeaws.Server
	client *sqs.Client
	url    string
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{server: pgtest.Start(t, nil), queues: fakeaws.New(fakeaws.Options{})}
	pgtest.Exec(t, f.server, "CREATE ROLE worker LOGIN")
	if _, err := f.queues.Start(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.queues.Close)
	f.client = sqs.NewFromConfig(f.queues.Config())
	name := queueName
	out, err := f.client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		t.Fatal(err)
	}
	f.url = *out.QueueUrl
	f.site = newSite(t)
	f.apply(fmt.Sprintf("{apiVersion: v1, kind: Secret, metadata: {name: db, namespace: %s}, stringData: {url: %q}}", f.namespace, f.server.DSN("worker", "postgres")))
	return f
}

func (f *fleet) send(n int) {
	f.t.Helper()
	for i := range n {
		body := strconv.Itoa(i)
		if _, err := f.client.SendMessage(f.t.Context(), &sqs.SendMessageInput{QueueUrl: &f.url, MessageBody: &body}); err != nil {
			f.t.Fatal(err)
		}
	}
}

// workerSpec is a pod's. more is further JSON of the pod, env of the container's
// environment.
func (f *fleet) workerSpec(more, env string) string {
	return fmt.Sprintf(`{%s "containers": [{"name": "main", "image": "worker:1", "env": [
		{"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}},
		{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
		{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
		{"name": "QUEUE_URL", "value": %q}, {"name": "AWS_ENDPOINT_URL", "value": %q}, {"name": "AWS_REGION", "value": %q},
		{"name": "AWS_ACCESS_KEY_ID", "value": "test"}, {"name": "AWS_SECRET_ACCESS_KEY", "value": "test"},
		%s {"name": "DB_POOL_SIZE", "value": "2"}, {"name": "WORK_SECONDS", "value": "0.05"}
	]}]}`, more, f.url, f.queues.URL(), f.queues.Config().Region, env)
}

// sessions are those that the server sees, by address and application_name.
func (f *fleet) sessions(ctx context.Context) (map[string]int, error) {
	conn, err := pgx.Connect(ctx, f.server.SuperuserDSN())
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.Background()) }() // it was only read
	rows, err := conn.Query(ctx, "SELECT host(client_addr) || ' ' || application_name FROM pg_stat_activity WHERE usename = 'worker'")
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	found := map[string]int{}
	for _, name := range names {
		found[name]++
	}
	return found, err
}

// awaitSessions waits until each of so many ready pods has its two connections
// from its address, and nobody else has any.
func (f *fleet) awaitSessions(replicas int) (addresses []string) {
	f.t.Helper()
	f.wait(fmt.Sprintf("%d pods with their connections", replicas), func(ctx context.Context) (bool, error) {
		pods, err := f.pods(ctx)
		if err != nil {
			return false, err
		}
		sessions, err := f.sessions(ctx)
		if err != nil {
			return false, err
		}
		addresses = nil
		for _, p := range pods {
			addresses = append(addresses, p.Status.PodIP)
			if !isReady(&p) || sessions[p.Status.PodIP+" "+p.Name] != 2 {
				return false, fmt.Errorf("%s at %s: ready %t, sessions %v", p.Name, p.Status.PodIP, isReady(&p), sessions)
			}
		}
		if len(pods) != replicas || len(sessions) != replicas {
			return false, fmt.Errorf("%d pods, sessions %v", len(pods), sessions)
		}
		return true, nil
	})
	return addresses
}

func TestADeploymentOfWorkers(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.deploy(nil, 0, f.workerSpec("", ""))
	f.scale(3)
	before := f.awaitSessions(3)
	f.scale(1)
	f.awaitSessions(1)
	f.scale(2)
	after := f.awaitSessions(2)
	if n := f.node.Processes(); n != 2 {
		t.Errorf("%d processes of 2 pods", n)
	}
	if fresh := slices.DeleteFunc(slices.Clone(after), func(a string) bool { return slices.Contains(before, a) }); len(fresh) != 1 {
		t.Errorf("addresses %q and then %q: want one that was not used before", before, after)
	}
	f.send(20)
	f.wait("an empty queue", func(context.Context) (bool, error) {
		truth, _ := f.queues.Truth(queueName)
		return truth.Visible+truth.InFlight == 0, nil
	})
	f.scale(0)
	f.awaitSessions(0)
	f.wait("no process", func(context.Context) (bool, error) { return f.node.Processes() == 0, nil })
}

func TestAJobCompletes(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.send(3)
	template := f.template(t, nil, f.workerSpec(`"restartPolicy": "Never",`, `{"name": "JOB_MESSAGES", "value": "2"},`))
	completions := int32(2)
	if _, err := f.Client().BatchV1().Jobs(f.namespace).Create(t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "x"}, Spec: batchv1.JobSpec{Completions: &completions, Parallelism: &completions, Template: template},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.wait("a complete Job", func(ctx context.Context) (bool, error) {
		job, err := f.Client().BatchV1().Jobs(f.namespace).Get(ctx, "x", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		if job.Status.Succeeded != 2 || job.Status.CompletionTime == nil {
			return false, fmt.Errorf("%+v", job.Status)
		}
		return true, nil
	})
	if truth, _ := f.queues.Truth(queueName); truth.Visible+truth.InFlight != 0 {
		t.Errorf("the Job is complete, and %+v is left", truth)
	}
	if n := f.node.Processes(); n != 0 {
		t.Errorf("%d processes", n)
	}
	pods, err := f.pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods {
		if p.Status.Phase != corev1.PodSucceeded {
			t.Errorf("%s: %s", p.Name, p.Status.Phase)
		}
	}
}

// Of a node without power the pods are gone from the API long before their
// connections are.
func TestALostNodeLeavesItsConnections(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.deploy(nil, 2, f.workerSpec("", ""))
	lost := f.awaitSessions(2)
	if err := f.node.Lose(t.Context(), node.Loss{DeleteNode: true, Freeze: true, Linger: time.Hour}); err != nil {
		t.Fatal(err)
	}
	f.wait("new pods without a node alone", func(ctx context.Context) (bool, error) {
		pods, err := f.pods(ctx)
		for _, p := range pods {
			if p.Spec.NodeName != "" {
				return false, fmt.Errorf("%s is still there", p.Name)
			}
		}
		return err == nil && len(pods) == 2, err
	})
	sessions, err := f.sessions(t.Context())
	if err != nil || len(sessions) != len(lost) {
		t.Errorf("sessions %v, %v: want those of %q", sessions, err, lost)
	}
	if err := f.node.Close(); err != nil {
		t.Error(err)
	}
	f.wait("no sessions", func(ctx context.Context) (bool, error) {
		sessions, err := f.sessions(ctx)
		return err == nil && len(sessions) == 0, err
	})
}

// One that lingers ends by itself, and its Node becomes NotReady.
func TestANodeThatFallsSilent(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.pod("one", nil, stubbornSpec)
	s.await("one", "ready", isReady)
	if err := s.node.Lose(t.Context(), node.Loss{Linger: 3 * time.Second}); err != nil {
		t.Fatal(err)
	}
	if n := s.node.Processes(); n != 1 {
		t.Errorf("%d processes of a node that has only fallen silent", n)
	}
	s.wait("no process", func(context.Context) (bool, error) { return s.node.Processes() == 0, nil })
	s.await("one", "not ready, as is its node", func(p *corev1.Pod) bool { return !isReady(p) })
}

// A pod lives through the API server's absence, and what happened meanwhile is
// told afterwards. This test runs alone: see testing.T.Parallel.
func TestTheAPIServerIsAway(t *testing.T) {
	s := newSite(t)
	s.pod("stays", nil, stubbornSpec)
	s.pod("crashes", map[string]string{node.ExitAfter: "8s"}, stubbornSpec)
	s.await("stays", "ready", isReady)
	s.await("crashes", "ready", isReady)
	server := s.Component("kube-apiserver")
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wait("a crash", func(context.Context) (bool, error) { return len(s.said("crashes")) >= 2, nil })
	if n := s.node.Processes(); n < 1 {
		t.Error("no process without an API server")
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.await("crashes", "known to have crashed", func(p *corev1.Pod) bool { return container(p).RestartCount >= 1 })
	if p := s.await("stays", "ready", isReady); container(p).RestartCount != 0 {
		t.Errorf("it was restarted: %+v", container(p))
	}
	s.delete("stays", metav1.DeleteOptions{})
	s.awaitGone("stays")
}
