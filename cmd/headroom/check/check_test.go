package check_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"sigs.k8s.io/yaml"

	"github.com/keda-headroom/headroom/cmd/headroom/check"
	"github.com/keda-headroom/headroom/internal/fakeaws"
)

const shop = `apiVersion: v1
kind: ConfigMap
metadata: {name: shop-headroom, namespace: shop, labels: {keda-headroom.github.io/policy: "true"}}
data:
  policy.yaml: |
    apiVersion: keda-headroom.github.io/v1alpha1
    kind: Policy
    workloads:
    - name: order-workers
      databaseRefs: [{name: orders-db, namespace: platform, user: worker, connectionsPerPod: 5}]
      sqs: {queueName: orders, messagesPerPod: 20}
    - name: order-reports
      databaseRefs: [{name: orders-db, namespace: platform, user: reports, connectionsPerPod: 1}]
      sqs: {queueName: orders, messagesPerPod: 20, pollInterval: 10s}
    - name: event-workers
      databaseRefs: [{name: orders-db, namespace: platform, user: events, connectionsPerPod: 5}]
      sqs: {queueName: events.fifo, messagesPerPod: 20, pollInterval: 20s}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: unrelated, namespace: shop}
data: {policy.yaml: "not one"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: order-workers, namespace: shop}
`

// world is a local SQS and CloudWatch on virtual time, and files of policies.
type world struct {
	*testing.T
	*fakeaws.Server
	sdk     *awssqs.Client
	options check.Options
	out     *bytes.Buffer
}

func inWorld(t *testing.T, o fakeaws.Options, policies string, story func(w *world)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(path, []byte(policies), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)))
		o.Region = "eu-west-1"
		server := fakeaws.New(o)
		config := server.InProcess()
		w := &world{T: t, Server: server, sdk: awssqs.NewFromConfig(config), options: check.Defaults(), out: &bytes.Buffer{}}
		w.options.AWS, w.options.Paths, w.options.Out = &config, []string{path}, w.out
		for _, name := range []string{"orders", "events.fifo"} {
			in := &awssqs.CreateQueueInput{QueueName: &name}
			if strings.HasSuffix(name, ".fifo") {
				in.Attributes = map[string]string{"FifoQueue": "true"}
			}
			if _, err := w.sdk.CreateQueue(t.Context(), in); err != nil {
				t.Fatal(err)
			}
		}
		story(w)
	})
}

// run runs the command and returns what it wrote.
func (w *world) run(fails bool) string {
	w.Helper()
	w.out.Reset()
	if err := w.options.Validate(); err != nil {
		w.Fatal(err)
	}
	if err := check.Run(w.Context(), w.options); fails != errors.Is(err, check.ErrFound) || !fails && err != nil {
		w.Errorf("it ended with %v; want a finding: %v", err, fails)
	}
	return w.out.String()
}

// report runs the command for its report.
func (w *world) report(fails bool) (r check.Report) {
	w.Helper()
	w.options.Output = "json"
	if err := json.Unmarshal([]byte(w.run(fails)), &r); err != nil {
		w.Fatal(err)
	}
	return r
}

func TestEverythingCanBeRead(t *testing.T) {
	inWorld(t, fakeaws.Options{PublishingDelay: 2 * time.Minute}, shop, func(w *world) {
		for range 3 {
			if _, err := w.sdk.SendMessage(w.Context(), &awssqs.SendMessageInput{
				QueueUrl: aws.String("http://fakeaws.invalid/000000000000/orders"), MessageBody: aws.String("x")}); err != nil {
				w.Fatal(err)
			}
		}
		time.Sleep(10*time.Minute + 20*time.Second)
		const want = `QUEUE        WORKLOADS                               VISIBLE  IN FLIGHT  DELAYED    CLOUDWATCH  SQS CALLS  IF IDLE   COST  IF IDLE
events.fifo  shop/event-workers                            0          0        0  2m20s behind    129,600  129,600  $2.21    $2.21
orders       shop/order-reports, shop/order-workers        3          0        0  2m20s behind    518,400  518,400  $1.94    $1.94

Calls and cost are for 30 days, at pollInterval and, of a queue that is never used, at idlePollInterval. Assumed: $0.40 for a
million calls of SQS, $0.01 for 1,000 metrics of CloudWatch, no free tier. All queues: $4.15.
`
		w.options.CloudWatch = true
		if got := w.run(false); got != want {
			w.Errorf("got\n%s\nwant\n%s", got, want)
		}
		if calls := w.Calls(); calls["GetQueueAttributes"] != 2 || calls["GetMetricData"] != 1 || calls["ReceiveMessage"] != 0 {
			w.Errorf("calls %v", calls)
		}

		// Without the flag no policy asks CloudWatch: it is not asked, and costs nothing.
		w.options.CloudWatch = false
		r := w.report(false)
		if q := r.Queues[0]; q.Published != nil || q.Cost.Metrics != 0 || q.Cost.CloudWatch != 0 || w.Calls()["GetMetricData"] != 1 {
			w.Errorf("%+v", q)
		}
		// Other prices.
		w.options.Prices = check.Prices{SQS: 1, CloudWatch: 0.02}
		if r := w.report(false); r.Total < 0.64 || r.Total > 0.65 || r.Prices != w.options.Prices {
			w.Errorf("%+v", r)
		}
		w.options.Output = "yaml"
		var other check.Report
		if err := yaml.Unmarshal([]byte(w.run(false)), &other); err != nil || len(other.Queues) != 2 {
			w.Errorf("%v, %+v", err, other)
		}
	})
}

func TestWhatCanNotBeRead(t *testing.T) {
	find := func(w *world, r check.Report, queue string, severity check.Severity, source, problem, hint string) {
		w.Helper()
		for _, q := range r.Queues {
			for _, f := range q.Findings {
				if q.Name == queue && f.Severity == severity && f.Source == source && strings.Contains(f.Problem, problem) && strings.Contains(f.Hint, hint) {
					return
				}
			}
		}
		w.Errorf("no %s of %s that says %q and hints %q in %+v", severity, queue, problem, hint, r.Queues)
	}
	inWorld(t, fakeaws.Options{}, shop, func(w *world) {
		w.options.CloudWatch = true
		time.Sleep(2 * time.Minute)

		lift := w.Inject(fakeaws.AccessDenied("GetMetricData"))
		r := w.report(true)
		if r.Errors != 2 || r.Queues[0].Depth == nil || r.Queues[0].Published != nil {
			w.Errorf("%+v", r)
		}
		find(w, r, "orders", check.Error, "cloudwatch", `add {"Effect": "Allow", "Action": "cloudwatch:GetMetricData", "Resource": "*"}`, "docs/queues.md#permissions")
		lift()

		lift = w.Inject(fakeaws.AccessDenied("GetQueueUrl"))
		find(w, w.report(true), "events.fifo", check.Error, "sqs", "the caller needs sqs:GetQueueUrl and sqs:GetQueueAttributes", "docs/queues.md#permissions")
		lift()

		lift = w.Inject(fakeaws.Fault{Operations: []string{"GetQueueUrl", "GetMetricData"}, Hang: true})
		began := time.Now()
		r = w.report(true)
		find(w, r, "orders", check.Error, "sqs", "waiting for an answer from", "is there a way to SQS from here")
		find(w, r, "orders", check.Error, "cloudwatch", "waiting for an answer from", "is there a way to CloudWatch from here")
		if took := time.Since(began); took > 2*w.options.Timeout {
			w.Errorf("it took %s with a timeout of %s", took, w.options.Timeout)
		}
		lift()

		// CloudWatch stops publishing: somebody should look, and nothing fails.
		w.SetPublishing(func(fakeaws.Metric, time.Time) (time.Duration, bool) { return 20 * time.Minute, true })
		time.Sleep(30 * time.Minute)
		r = w.report(false)
		find(w, r, "orders", check.Warning, "cloudwatch", "the newest point of CloudWatch is 20m", "within 3 minutes")
		w.SetPublishing(func(fakeaws.Metric, time.Time) (time.Duration, bool) { return 0, false })
		r = w.report(false)
		find(w, r, "orders", check.Warning, "cloudwatch", "nothing of this queue in the last hour", "another account")

		if _, err := w.sdk.DeleteQueue(w.Context(), &awssqs.DeleteQueueInput{QueueUrl: aws.String("http://fakeaws.invalid/000000000000/orders")}); err != nil {
			w.Fatal(err)
		}
		find(w, w.report(true), "orders", check.Error, "sqs", "there is no such queue", "list-queues")
		if text := func() string { w.options.Output = "table"; return w.run(true) }(); !strings.Contains(text, "\nError: orders: GetQueueUrl of queue orders: there is no such queue") {
			w.Errorf("%s", text)
		}
	})
}

func TestPoliciesThatAreNotRight(t *testing.T) {
	inWorld(t, fakeaws.Options{}, strings.Replace(shop, "messagesPerPod: 20}", "messagesPerPod: 0}", 1), func(w *world) {
		err := check.Run(w.Context(), w.options)
		if err == nil || !strings.Contains(err.Error(), "messagesPerPod") || !strings.Contains(err.Error(), "policies.yaml:11:32: ") || !strings.Contains(err.Error(), "headroom lint") {
			w.Errorf("%v", err)
		}
	})
	inWorld(t, fakeaws.Options{}, "kind: Deployment\napiVersion: apps/v1\n", func(w *world) {
		if got := w.run(false); got != "No queues: none of the policies has an sqs section.\n" {
			w.Errorf("%q", got)
		}
	})
	inWorld(t, fakeaws.Options{}, "\tnot: [yaml", func(w *world) {
		if err := check.Run(w.Context(), w.options); err == nil || errors.Is(err, check.ErrFound) {
			w.Errorf("%v", err)
		}
	})
}

func TestADirectoryAndAPlainPolicy(t *testing.T) {
	inWorld(t, fakeaws.Options{}, "", func(w *world) {
		dir := w.TempDir()
		for name, content := range map[string]string{
			"a.yaml": `{apiVersion: keda-headroom.github.io/v1alpha1, kind: Policy, metadata: {namespace: shop}, workloads: [{name: order-workers,
databaseRefs: [{name: db, user: u, connectionsPerPod: 1}], sqs: {queueURL: "http://fakeaws.invalid/000000000000/orders", messagesPerPod: 1}}]}`,
			"README.md": "not a policy",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				w.Fatal(err)
			}
		}
		w.options.Paths = []string{dir}
		if r := w.report(false); len(r.Queues) != 1 || r.Queues[0].Depth == nil || r.Queues[0].Workloads[0].String() != "shop/order-workers" {
			w.Errorf("%+v", r)
		}
	})
}

func TestOptionsThatCanNotBeRight(t *testing.T) {
	o := check.Defaults()
	o.Paths, o.Output, o.Timeout, o.Prices.SQS = []string{"/does/not/exist"}, "xml", 0, -1
	err := o.Validate()
	for _, part := range []string{"/does/not/exist", `--output: expected table, json or yaml, found "xml"`, "--timeout", "--sqs-price: expected a price of 0 to 1000, found -1"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v\nwant %q in it", err, part)
		}
	}
	if err := check.Defaults().Validate(); err == nil || !strings.Contains(err.Error(), "at least one FILE") {
		t.Errorf("%v", err)
	}
}
