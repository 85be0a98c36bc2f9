package acceptance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/keda-headroom/headroom/internal/pgserver/pgtest"
	"github.com/keda-headroom/headroom/policy"
)

// TestExamplesOfTheGateRun applies the examples that we ship, with a queue, a database
// and an image that are there, and nothing else changed.
func TestExamplesOfTheGateRun(t *testing.T) {
	t.Parallel()
	for _, example := range []struct {
		file, workload string
		// messages are as many as ask for more than there is room for.
		messages int
		// least is how many pods have to be past the gate.
		least int
		// ends says that its pods end when they have had a message.
		ends bool
		then func(*gateSite)
	}{
		{file: "gate", workload: "shipment-workers", messages: 300, least: gateCapacity},
		{file: "gate-template", workload: "parcel-workers", messages: 300, least: gateCapacity},
		{file: "gate-statefulset", workload: "ledger-workers", messages: 500, least: 8},
		{file: "gate-scaledjob", workload: "export-jobs", messages: 60, least: 1, ends: true},
		{file: "ceiling", workload: "mail-workers", messages: 600, least: 10},
		{file: "pods", workload: "nightly-reports", least: 1},
		{file: "not-keda", workload: "checkout-api", least: 3, then: func(s *gateSite) {
			s.scale("checkout-api", 10)
			s.planned("checkout-api", "four that fit, and six that wait", func(p policy.WorkloadPlan) bool {
				return p.Holding == 4 && p.Gated == 6
			})
		}},
	} {
		t.Run(example.file, func(t *testing.T) {
			t.Parallel()
			s := newGateSite(t)
			queue := s.queue("example")
			s.send(queue, example.messages)
			s.example(example.file, queue, example.ends)
			if example.ends {
				s.wait("the queue to be empty", func(context.Context) (bool, error) {
					left := s.truth("example")
					return left.Visible+left.InFlight == 0, fmt.Errorf("%d messages are left", left.Visible+left.InFlight)
				})
			} else {
				if example.file == "ceiling" {
					s.mailWorkers() // which the example only scales
				}
				p := s.planned(example.workload, "as many pods as are wanted and fit", func(p policy.WorkloadPlan) bool {
					return p.Holding >= example.least && p.Holding <= max(p.Ceiling, example.least) && p.Ungated == 0 && p.Failure == ""
				})
				t.Logf("%d of %d: %s", p.Holding, p.Ceiling, p.Sentence)
				s.wait("all that are past the gate to be ready", func(ctx context.Context) (bool, error) {
					passed, _, err := s.pods(ctx, example.workload)
					ready := 0
					for i := range passed {
						if isReady(&passed[i]) {
							ready++
						}
					}
					return ready >= example.least && ready == len(passed), fmt.Errorf("%d of %d are: %w", ready, len(passed), err)
				})
			}
			if example.then != nil {
				example.then(s)
			}
			s.nobodyRefused(0) // by the role worker, which nobody has here
		})
	}
}

// mailWorkers makes a Deployment of workers that KEDA's other trigger asks for.
func (s *gateSite) mailWorkers() {
	s.t.Helper()
	f := &gatedFleet{fleet: s.start(&fleet{name: "mail-workers"}), pool: 3, ungated: true}
	s.apply(strings.Replace(s.gatedDeployment(f), s.database.DSN("worker", "postgres"), s.database.DSN("mail_worker", "postgres"), 1))
}

var (
	exampleUser  = regexp.MustCompile(`user: (\w+)`)
	exampleQueue = regexp.MustCompile(`(?m)^( *)queueURL: https://sqs\.\S+$`)
	exampleImage = regexp.MustCompile(`registry\.example\.com/\S+`)
	examplePool  = regexp.MustCompile(`(?m)^( *)- \{name: DB_POOL_SIZE, .*$`)
	exampleKafka = regexp.MustCompile(`(?ms)^  - type: kafka$.*?^  fallback:`)
)

// exampleDatabase is the policy of the database that all examples use.
const exampleDatabase = `apiVersion: keda-headroom.github.io/v1alpha1
kind: Policy
databases:
- name: orders-db
  postgresql: {dsn: {secretKeyRef: {name: database, key: dsn}}}
  reserve: 10
  othersWindow: 5s
`

// example applies one of manifests/examples. once has its workers end after one
// message each.
func (s *gateSite) example(file, queue string, once bool) {
	s.t.Helper()
	content, err := os.ReadFile(filepath.Join(manifests, "examples", file+".yaml"))
	if err != nil {
		s.t.Fatal(err)
	}
	text := string(content)
	user := exampleUser.FindStringSubmatch(text)
	if user == nil {
		s.t.Fatalf("%s: expected the user of its pods, found none", file)
	}
	pgtest.Exec(s.t, s.database, "CREATE ROLE "+user[1]+" LOGIN", "GRANT INSERT ON handled TO "+user[1])
	s.policy("database", exampleDatabase)

	messages := "0"
	if once {
		messages = "1"
	}
	worker := []string{
		"- {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}", "- {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}",
		`- {name: DATABASE_URL, value: "` + s.database.DSN(user[1], "postgres") + `"}`, "- {name: TABLE, value: handled}",
		`- {name: QUEUE_URL, value: "` + queue + `"}`, `- {name: AWS_ENDPOINT_URL, value: "` + s.aws.URL() + `"}`, "- {name: AWS_REGION, value: " + region + "}",
		"- {name: AWS_ACCESS_KEY_ID, value: " + workerKey + "}", "- {name: AWS_SECRET_ACCESS_KEY, value: local}",
		`- {name: JOB_MESSAGES, value: "` + messages + `"}`, `- {name: POLL_SECONDS, value: "1"}`, `- {name: WORK_SECONDS, value: "2"}`,
	}
	text = strings.NewReplacer(
		"namespace: shop", "namespace: "+s.namespace, "namespace: platform", "namespace: "+s.namespace,
		"headroom.headroom.svc:6000", s.headroom.address(), `schedule: "0 3 * * *"`, `schedule: "* * * * *"`,
	).Replace(text)
	text = exampleQueue.ReplaceAllString(text, "${1}queueURL: "+queue+"\n${1}region: "+region+"\n${1}endpoint: "+s.aws.URL())
	text = exampleImage.ReplaceAllString(text, workerImage)
	text = examplePool.ReplaceAllString(text, "$0\n$1"+strings.Join(worker, "\n$1"))
	if exampleKafka.MatchString(text) {
		text = exampleKafka.ReplaceAllString(text, s.fill(strings.TrimPrefix(exampleTrigger, "\n"), "QUEUE", queue)+"  fallback:")
		s.apply(s.fill(strings.SplitN(stock, "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject", 2)[0]))
	}
	s.apply(text)
}

// exampleTrigger takes the place of one for a system that is not there: its value is a
// number of messages, too.
const exampleTrigger = `
  - type: aws-sqs-queue
    name: queue
    authenticationRef: {name: aws}
    metadata: {queueURL: "$QUEUE", queueLength: "20", awsRegion: $REGION, awsEndpoint: "$ENDPOINT"}
`
