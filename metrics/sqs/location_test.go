package sqs

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

const ordersURL = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"

func staticConfig(region string) *aws.Config {
	return &aws.Config{Region: region, Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "")}
}

func newClient(t *testing.T, config *aws.Config) *Client {
	t.Helper()
	client, err := New(t.Context(), Options{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// TestWhereAQueueIsAsked says which region and endpoint each location leads to.
func TestWhereAQueueIsAsked(t *testing.T) {
	for _, test := range []struct {
		name             string
		configRegion     string
		configEndpoint   string
		location         Location
		region, endpoint string // an endpoint of "" is the region's own
	}{
		{"the URL's region goes before the configuration's", "us-east-2", "", Location{URL: ordersURL}, "eu-west-1", ""},
		{"the same region said twice", "us-east-2", "", Location{URL: ordersURL, Region: "eu-west-1"}, "eu-west-1", ""},
		{"a name in the configuration's region", "us-east-2", "", Location{Name: "orders"}, "us-east-2", ""},
		{"a name in another region", "us-east-2", "", Location{Name: "orders", Region: "eu-west-1"}, "eu-west-1", ""},
		{"a VPC endpoint", "", "", Location{URL: "https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/123456789012/orders"}, "eu-west-1", "https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com"},
		{"an override", "", "", Location{URL: ordersURL, Endpoint: "http://localhost:4566"}, "eu-west-1", "http://localhost:4566"},
		{"an override with a region of its own", "", "", Location{URL: ordersURL, Endpoint: "http://localhost:4566", Region: "us-east-1"}, "us-east-1", "http://localhost:4566"},
		{"the configuration's endpoint", "us-east-2", "http://localhost:1", Location{Name: "orders"}, "us-east-2", "http://localhost:1"},
		{"the URL's endpoint before the configuration's", "", "http://localhost:1", Location{URL: "http://localhost:2/q"}, "us-east-1", "http://localhost:2"},
		{"a local server and no region anywhere", "", "", Location{URL: "http://localhost:2/000000000000/orders"}, "us-east-1", "http://localhost:2"},
		{"a local server by name", "", "", Location{Name: "orders", Endpoint: "http://localhost:2"}, "us-east-1", "http://localhost:2"},
	} {
		config := staticConfig(test.configRegion)
		if test.configEndpoint != "" {
			config.BaseEndpoint = &test.configEndpoint
		}
		queue, err := newClient(t, config).Queue(test.location)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		options := queue.client.Options()
		if options.Region != test.region || aws.ToString(options.BaseEndpoint) != test.endpoint {
			t.Errorf("%s: asks %q in %q, want %q in %q", test.name, aws.ToString(options.BaseEndpoint), options.Region, test.endpoint, test.region)
		}
	}
}

func TestLocationsThatAreRefused(t *testing.T) {
	for _, test := range []struct {
		location Location
		want     string
	}{
		{Location{}, "expected a URL or a name, found neither"},
		{Location{URL: ordersURL, Name: "orders"}, "expected either a URL, or a name"},
		{Location{URL: ordersURL, Account: "123456789012"}, "expected either a URL, or a name"},
		{Location{URL: "orders"}, "queue URL: expected the URL of a queue"},
		{Location{Name: "or ders"}, `queue name: expected a queue name of 1 to 80`},
		{Location{Name: "orders", Account: "12"}, `queue account: expected 12 digits, found "12"`},
		{Location{URL: ordersURL, Region: "us-east-1"}, `region: expected eu-west-1 as in the queue's URL`},
		{Location{Name: "orders", Region: "EU West!"}, `region: expected a region such as eu-west-1, found "EU West!"`},
		{Location{Name: "orders", Endpoint: "localhost:4566"}, `endpoint: expected a URL such as http://localhost:4566`},
		{Location{Name: "orders"}, "no region: expected one in the queue's location or its URL, or in AWS_REGION, found none"},
	} {
		_, err := newClient(t, staticConfig("")).Queue(test.location)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v\nwant an error with %q", test.location, err, test.want)
		}
	}
}

func TestLocationsAreNamed(t *testing.T) {
	for want, location := range map[string]Location{
		ordersURL: {URL: ordersURL, Region: "eu-west-1"},
		"orders":  {Name: "orders"},
		"orders of account 123456789012 in eu-west-1 at http://localhost:1": {Name: "orders", Account: "123456789012", Region: "eu-west-1", Endpoint: "http://localhost:1"},
	} {
		if got := location.String(); got != want {
			t.Errorf("%+v is called %q, want %q", location, got, want)
		}
	}
}

func TestQueuesOfOneSiteShareTheirConnections(t *testing.T) {
	client := newClient(t, staticConfig("eu-west-1"))
	open := func(location Location) *Queue {
		queue, err := client.Queue(location)
		if err != nil {
			t.Fatal(err)
		}
		return queue
	}
	one, two := open(Location{URL: ordersURL}), open(Location{URL: strings.Replace(ordersURL, "orders", "billing", 1)})
	other := open(Location{URL: ordersURL, Endpoint: "http://localhost:4566"})
	if one.client != two.client {
		t.Error("two queues of one region have clients of their own")
	}
	if one.client == other.client {
		t.Error("two endpoints share a client")
	}
}
