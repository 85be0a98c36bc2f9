package sqs

import (
	"net/url"
	"strings"
	"testing"
)

func TestParseQueueURL(t *testing.T) {
	const account = "123456789012"
	for text, want := range map[string]QueueURL{
		// Standard endpoints, of every partition: the SDK knows where they are.
		"https://sqs.eu-west-1.amazonaws.com/123456789012/orders":          {"orders", account, "eu-west-1", ""},
		"https://sqs.us-gov-west-1.amazonaws.com/123456789012/orders":      {"orders", account, "us-gov-west-1", ""},
		"https://sqs.cn-north-1.amazonaws.com.cn/123456789012/orders.fifo": {"orders.fifo", account, "cn-north-1", ""},
		"https://sqs.eusc-de-east-1.amazonaws.eu/123456789012/orders":      {"orders", account, "eusc-de-east-1", ""},
		"https://sqs.us-iso-east-1.c2s.ic.gov/123456789012/orders":         {"orders", account, "us-iso-east-1", ""},
		"https://sqs.us-isob-east-1.sc2s.sgov.gov/123456789012/orders":     {"orders", account, "us-isob-east-1", ""},
		"https://SQS.eu-west-1.AmazonAWS.com:443/123456789012/Orders_1-a":  {"Orders_1-a", account, "eu-west-1", ""},
		// Older forms of the same.
		"https://eu-west-1.queue.amazonaws.com/123456789012/orders":     {"orders", account, "eu-west-1", ""},
		"https://cn-north-1.queue.amazonaws.com.cn/123456789012/orders": {"orders", account, "cn-north-1", ""},
		"https://queue.amazonaws.com/123456789012/orders":               {"orders", account, "us-east-1", ""},
		// Endpoints that somebody chose on purpose.
		"https://sqs-fips.us-east-1.amazonaws.com/123456789012/orders":        {"orders", account, "us-east-1", "https://sqs-fips.us-east-1.amazonaws.com"},
		"https://sqs.eu-west-1.api.aws/123456789012/orders":                   {"orders", account, "eu-west-1", "https://sqs.eu-west-1.api.aws"},
		"https://sqs-fips.us-east-1.api.aws/123456789012/orders":              {"orders", account, "us-east-1", "https://sqs-fips.us-east-1.api.aws"},
		"https://sqs.cn-north-1.api.amazonwebservices.com.cn/123456789012/or": {"or", account, "cn-north-1", "https://sqs.cn-north-1.api.amazonwebservices.com.cn"},
		"https://vpce-0a1b-2c3d.sqs.eu-west-1.vpce.amazonaws.com/123456789012/orders": {"orders", account, "eu-west-1",
			"https://vpce-0a1b-2c3d.sqs.eu-west-1.vpce.amazonaws.com"},
		"https://vpce-0a1b-2c3d-us-east-1a.sqs.us-east-1.vpce.amazonaws.com/123456789012/orders": {"orders", account, "us-east-1",
			"https://vpce-0a1b-2c3d-us-east-1a.sqs.us-east-1.vpce.amazonaws.com"},
		"http://sqs.eu-west-1.amazonaws.com/123456789012/orders":       {"orders", account, "eu-west-1", "http://sqs.eu-west-1.amazonaws.com"},
		"https://sqs.eu-west-1.amazonaws.com:8443/123456789012/orders": {"orders", account, "eu-west-1", "https://sqs.eu-west-1.amazonaws.com:8443"},
		// Servers that aren't AWS's.
		"http://127.0.0.1:9324/000000000000/orders":                            {"orders", "000000000000", "", "http://127.0.0.1:9324"},
		"http://[::1]:9324/000000000000/orders":                                {"orders", "000000000000", "", "http://[::1]:9324"},
		"http://localhost:9324/queue/orders":                                   {"orders", "", "", "http://localhost:9324"},
		"http://elasticmq/orders":                                              {"orders", "", "", "http://elasticmq"},
		"http://localhost:4566/queue/eu-west-1/000000000000/orders":            {"orders", "000000000000", "eu-west-1", "http://localhost:4566"},
		"http://sqs.eu-west-1.localhost.example:4566/000000000000/orders.fifo": {"orders.fifo", "000000000000", "eu-west-1", "http://sqs.eu-west-1.localhost.example:4566"},
		"http://eu-west-1.queue.localhost.example:4566/000000000000/orders":    {"orders", "000000000000", "eu-west-1", "http://eu-west-1.queue.localhost.example:4566"},
		"https://queue.example.com/orders":                                     {"orders", "", "", "https://queue.example.com"},
		"https://notamazonaws.com/orders":                                      {"orders", "", "", "https://notamazonaws.com"},
	} {
		got, err := ParseQueueURL(text)
		if err != nil || got != want {
			t.Errorf("%s\n got %+v, %v\nwant %+v", text, got, err, want)
		}
		if got.FIFO() != strings.HasSuffix(text, ".fifo") {
			t.Errorf("%s: FIFO() = %v", text, got.FIFO())
		}
	}
}

func TestParseQueueURLRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":       `expected https:// or http:// at the start, found ""`,
		"orders": `expected https:// or http:// at the start, found "orders"`,
		"sqs.eu-west-1.amazonaws.com/123456789012/orders":       "expected https:// or http://",
		"ftp://sqs.eu-west-1.amazonaws.com/123456789012/orders": "expected https:// or http://",
		"https:///123456789012/orders":                          "found no host",
		"https:sqs.eu-west-1.amazonaws.com":                     "expected https:// or http://",
		"https://sqs.eu-west-1.amazonaws.com\x00/orders":        "which is no URL",
		// What people paste instead.
		"arn:aws:sqs:eu-west-1:123456789012:orders":                                     "its URL is https://sqs.eu-west-1.amazonaws.com/123456789012/orders",
		"arn:aws-cn:sqs:cn-north-1:123456789012:orders":                                 "its URL is https://sqs.cn-north-1.amazonaws.com.cn/123456789012/orders",
		"arn:aws-eusc:sqs:eusc-de-east-1:123456789012:orders.fifo":                      "its URL is https://sqs.eusc-de-east-1.amazonaws.eu/123456789012/orders.fifo",
		"https://eu-west-1.console.aws.amazon.com/sqs/v3/home?region=eu-west-1#/queue":  "a page of the AWS console",
		"https://sqs.eu-west-1.amazonaws.com/123456789012/orders?Action=ReceiveMessage": "expected no ?",
		"https://sqs.eu-west-1.amazonaws.com/123456789012/orders#":                      "no #",
		"https://s3.eu-west-1.amazonaws.com/123456789012/orders":                        "expected a host of SQS such as sqs.eu-west-1.amazonaws.com",
		"https://sqs.amazonaws.com/123456789012/orders":                                 "expected a host of SQS",
		"https://s3.eu-west-1.api.aws/123456789012/orders":                              "expected a host of SQS",
		"https://vpce-1.s3.eu-west-1.vpce.amazonaws.com/123456789012/orders":            "expected a host of SQS",
		// Paths.
		"https://sqs.eu-west-1.amazonaws.com/orders":                                            "expected the path /ACCOUNT/NAME",
		"https://sqs.eu-west-1.amazonaws.com/12345/orders":                                      "expected the path /ACCOUNT/NAME",
		"https://sqs.eu-west-1.amazonaws.com/a/123456789012/orders":                             "expected the path /ACCOUNT/NAME",
		"https://sqs.eu-west-1.amazonaws.com/123456789012/orders/":                              `found ""`,
		"https://sqs.eu-west-1.amazonaws.com":                                                   `found ""`,
		"http://localhost:9324/":                                                                `found ""`,
		"https://sqs.eu-west-1.amazonaws.com/123456789012/or%64ers":                             "expected a queue name",
		"https://sqs.eu-west-1.amazonaws.com/123456789012/order.s":                              "expected a queue name",
		"https://sqs.eu-west-1.amazonaws.com/123456789012/.fifo":                                "expected a queue name",
		"https://sqs.eu-west-1.amazonaws.com/123456789012/o%0Aorders":                           "expected a queue name",
		"https://sqs.eu-west-1.amazonaws.com/123456789012/" + strings.Repeat("x", 76) + ".fifo": "expected a queue name",
	} {
		got, err := ParseQueueURL(text)
		if err == nil {
			t.Errorf("%q was accepted as %+v", text, got)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v\nwant an error with %q", text, err, want)
		}
	}
}

func TestParseQueueURLKeepsCredentialsToItself(t *testing.T) {
	for _, text := range []string{
		"https://AKIDEXAMPLE:wJalrXUtnFEMI@sqs.eu-west-1.amazonaws.com/123456789012/orders",
		"http://user:wJalrXUtnFEMI@localhost:4566/000000000000/orders",
		"http://user:wJalrXUtnFEMI@localhost:port/000000000000/orders",
		"http://us er:wJalrXUtnFEMI@[/orders",
	} {
		_, err := ParseQueueURL(text)
		if err == nil || !strings.Contains(err.Error(), "credentials don't belong in a URL") {
			t.Errorf("%s: %v, want it refused for its credentials", text, err)
			continue
		}
		if strings.Contains(err.Error(), "wJalrXUtnFEMI") {
			t.Errorf("the error repeats the password: %v", err)
		}
	}
}

// FuzzParseQueueURL holds that nothing panics, and that what is accepted names a
// queue and an endpoint that can be asked.
func FuzzParseQueueURL(f *testing.F) {
	for _, seed := range []string{
		"https://sqs.eu-west-1.amazonaws.com/123456789012/orders.fifo", "https://queue.amazonaws.com/123456789012/q",
		"https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/123456789012/q", "http://127.0.0.1:9324/000000000000/q",
		"http://localhost:4566/queue/eu-west-1/000000000000/q", "https://sqs.us-east-1.api.aws/123456789012/q",
		"arn:aws:sqs:eu-west-1:123456789012:orders", "http://[::1]:1/a%2Fb", "https://u:p@h/q", "http://h./q", "//h/q", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		queue, err := ParseQueueURL(text)
		if err != nil {
			if queue != (QueueURL{}) {
				t.Fatalf("%q failed with %+v", text, queue)
			}
			return
		}
		if checkQueueName(queue.Name) != nil || !strings.HasSuffix(text, "/"+queue.Name) {
			t.Fatalf("%q: name %q", text, queue.Name)
		}
		if queue.Account != "" && !accountForm.MatchString(queue.Account) {
			t.Fatalf("%q: account %q", text, queue.Account)
		}
		if queue.Region != "" && !regionForm.MatchString(queue.Region) {
			t.Fatalf("%q: region %q", text, queue.Region)
		}
		if queue.Endpoint == "" && queue.Region == "" {
			t.Fatalf("%q: neither an endpoint nor a region to find one", text)
		}
		if queue.Endpoint != "" {
			endpoint, err := url.Parse(queue.Endpoint)
			if err != nil || endpoint.Host == "" || endpoint.User != nil || endpoint.Path != "" {
				t.Fatalf("%q: endpoint %q (%v)", text, queue.Endpoint, err)
			}
		}
		if _, _, err := (Location{URL: text}).Resolve(); err != nil {
			t.Fatalf("%q is the URL of a queue but no location: %v", text, err)
		}
	})
}
