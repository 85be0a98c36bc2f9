package cloudwatch

import (
	"math"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/keda-headroom/headroom/metrics/sqs"
)

func nan() float64 { return math.NaN() }
func inf() float64 { return math.Inf(1) }

func TestWhereTheMetricsOfAQueueAre(t *testing.T) {
	for _, test := range []struct {
		name     string
		config   aws.Config
		queue    sqs.Location
		want     string
		endpoint string // where the SDK client goes, "" for its own choice
	}{
		{"by URL", aws.Config{}, sqs.Location{URL: "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"}, "eu-west-1", ""},
		{"by name", aws.Config{Region: "us-east-2"}, sqs.Location{Name: "orders"}, "us-east-2", ""},
		{"by name, elsewhere", aws.Config{Region: "us-east-2"}, sqs.Location{Name: "orders", Region: "eu-west-1"}, "eu-west-1", ""},
		{"a VPC endpoint of SQS is none of CloudWatch", aws.Config{},
			sqs.Location{URL: "https://vpce-1a2b.sqs.eu-west-1.vpce.amazonaws.com/123456789012/orders"}, "eu-west-1", ""},
		{"nor is one that stands in the policy", aws.Config{},
			sqs.Location{Name: "orders", Region: "eu-west-1", Endpoint: "https://vpce-1a2b.sqs.eu-west-1.vpce.amazonaws.com"}, "eu-west-1", ""},
		{"another server has both", aws.Config{}, sqs.Location{URL: "http://localhost:4566/000000000000/orders"},
			"us-east-1 at http://localhost:4566", "http://localhost:4566"},
		{"and a region", aws.Config{Region: "eu-west-1"}, sqs.Location{Name: "orders", Endpoint: "http://localhost:4566"},
			"eu-west-1 at http://localhost:4566", "http://localhost:4566"},
		{"named for all services", aws.Config{BaseEndpoint: aws.String("http://localhost:4566")}, sqs.Location{Name: "orders"},
			"us-east-1", "http://localhost:4566"},
	} {
		client, err := New(t.Context(), Options{Config: &test.config})
		if err != nil {
			t.Fatal(err)
		}
		place, name, err := client.Find(test.queue)
		if err != nil || name != "orders" || place.String() != test.want {
			t.Errorf("%s: %s, %q, %v; want %s", test.name, place, name, err, test.want)
			continue
		}
		if got := aws.ToString(client.place(place).Options().BaseEndpoint); got != test.endpoint {
			t.Errorf("%s: asks %q, want %q", test.name, got, test.endpoint)
		}
	}
	client, err := New(t.Context(), Options{Config: &aws.Config{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.Find(sqs.Location{Name: "orders"}); err == nil || !strings.Contains(err.Error(), "no region") {
		t.Errorf("no region: %v", err)
	}
	if _, _, err := client.Find(sqs.Location{}); err == nil {
		t.Error("no queue, and no error")
	}
}

func TestAnEndpointOfCloudWatchAloneStays(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL_CLOUDWATCH", "http://localhost:9999")
	t.Setenv("AWS_REGION", "eu-west-1")
	client, err := New(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	place, _, err := client.Find(sqs.Location{URL: "http://localhost:9324/000000000000/orders"})
	if err != nil {
		t.Fatal(err)
	}
	if got := aws.ToString(client.place(place).Options().BaseEndpoint); got != "http://localhost:9999" {
		t.Errorf("asks %q", got)
	}
}
