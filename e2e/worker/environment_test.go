package worker

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keda-headroom/headroom/internal/worker"
)

func TestEnvironment(t *testing.T) {
	least := map[string]string{
		QueueURL: "http://sqs/1/orders", Region: "us-east-1", DatabaseURL: "postgres://worker@db/shop",
		AccessKeyID: "key", SecretAccessKey: "secret",
	}
	got, err := FromEnvironment(func(name string) string { return least[name] })
	if err != nil {
		t.Fatal(err)
	}
	want := worker.Config{
		DSN: "postgres://worker@db/shop", QueueURL: "http://sqs/1/orders", Region: "us-east-1", AccessKeyID: "key", SecretAccessKey: "secret",
		Connections: 5, OpenEagerly: true, Work: time.Second, Poll: 20 * time.Second,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("without anything that may be left out (-want +got):\n%s", diff)
	}

	all := map[string]string{
		Endpoint: "http://sqs", Table: "run.handled", PoolSize: "3", OpenEagerly: "false", ExtraConnections: "2",
		WorkSeconds: "0.25", TerminationSeconds: "7", JobMessages: "10", PollSeconds: "2", PodIP: "127.5.0.1", PodName: "orders-x",
	}
	for name, value := range least {
		all[name] = value
	}
	want = worker.Config{
		DSN: want.DSN, QueueURL: want.QueueURL, Region: want.Region, AccessKeyID: "key", SecretAccessKey: "secret",
		Endpoint: "http://sqs", Table: "run.handled", Connections: 3, Extra: 2, Work: 250 * time.Millisecond, Drain: 7 * time.Second,
		Messages: 10, Poll: 2 * time.Second, Address: "127.5.0.1", Application: "orders-x",
	}
	got, err = FromEnvironment(func(name string) string { return all[name] })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("with everything (-want +got):\n%s", diff)
	}
}

func TestEnvironmentThatIsWrong(t *testing.T) {
	wrong := map[string]string{
		DatabaseURL: "postgres://u:hush@db", PoolSize: "-1", OpenEagerly: "maybe", WorkSeconds: "NaN", PollSeconds: "1s",
	}
	_, err := FromEnvironment(func(name string) string { return wrong[name] })
	if err == nil {
		t.Fatal("it was taken")
	}
	for _, name := range []string{QueueURL, Region, AccessKeyID, SecretAccessKey, PoolSize, OpenEagerly, WorkSeconds, PollSeconds} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%v: want a word on %s", err, name)
		}
	}
	if strings.Contains(err.Error(), "hush") {
		t.Errorf("%v: quotes a secret", err)
	}
}
