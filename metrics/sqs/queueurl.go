package sqs

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// QueueURL is what the URL of a queue says.
type QueueURL struct {
	// Name of the queue; it ends in ".fifo" where the queue is one.
	Name string
	// Account is the 12-digit number of the owner, "" where the URL has none
	// (some servers other than AWS).
	Account string
	// Region is "" where the URL doesn't say.
	Region string
	// Endpoint is where the queue is asked about, scheme and host, where the URL
	// names one: a VPC, FIPS or dual-stack endpoint, or a host that isn't AWS's.
	// "" means the standard endpoint of Region.
	Endpoint string
}

// FIFO reports whether the queue is a FIFO queue, which SQS says by its name.
func (u QueueURL) FIFO() bool { return isFIFO(u.Name) }

func isFIFO(name string) bool { return strings.HasSuffix(name, ".fifo") }

// Forms that AWS documents. A region is "eu-west-1", "us-gov-west-1",
// "eusc-de-east-1".
var (
	regionForm  = regexp.MustCompile(`^[a-z]{2,5}(-[a-z]{1,20}){1,3}-[0-9]{1,2}$`)
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	nameForm    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)
)

// standardSuffixes end the names of the standard endpoints ("sqs.REGION.SUFFIX"),
// otherSuffixes those of the dual-stack ones, one for each partition of AWS.
var (
	standardSuffixes = []string{
		"amazonaws.com", "amazonaws.com.cn", "amazonaws.eu",
		"c2s.ic.gov", "sc2s.sgov.gov", "cloud.adc-e.uk", "csp.hci.ic.gov",
	}
	otherSuffixes = []string{
		"api.aws", "api.amazonwebservices.com.cn", "api.amazonwebservices.eu",
		"api.aws.ic.gov", "api.aws.scloud", "api.cloud-aws.adc-e.uk", "api.aws.hci.ic.gov",
	}
)

// ParseQueueURL reads the URL of a queue as SQS gives it out:
//
//	https://sqs.REGION.amazonaws.com/ACCOUNT/NAME     and other partitions of AWS
//	https://sqs-fips.REGION.amazonaws.com/…           FIPS
//	https://sqs.REGION.api.aws/…                      dual-stack
//	https://vpce-….sqs.REGION.vpce.amazonaws.com/…    VPC endpoint
//	https://REGION.queue.amazonaws.com/…              older
//	https://queue.amazonaws.com/…                     older still: us-east-1
//	http://HOST:PORT/…/NAME                           any other server is its own endpoint
//
// The URL must carry no credentials, query or fragment. Errors say what was
// expected; they repeat no part of a URL that has credentials in it.
func ParseQueueURL(text string) (QueueURL, error) {
	parsed, err := parseHTTPURL(text)
	if err != nil {
		if region, account, name, ok := splitARN(text); ok {
			return QueueURL{}, fmt.Errorf("expected the URL of a queue, found the ARN %q; its URL is https://sqs.%s.%s/%s/%s", text, region, suffixOf(region), account, name)
		}
		return QueueURL{}, fmt.Errorf("expected the URL of a queue such as https://sqs.eu-west-1.amazonaws.com/123456789012/orders: %w", err)
	}
	segments := strings.Split(strings.TrimPrefix(parsed.EscapedPath(), "/"), "/")
	queue := QueueURL{Name: segments[len(segments)-1]}
	if err := checkQueueName(queue.Name); err != nil {
		return QueueURL{}, fmt.Errorf("%w at the end of the URL %q", err, text)
	}
	if len(segments) > 1 && accountForm.MatchString(segments[len(segments)-2]) {
		queue.Account = segments[len(segments)-2]
	}

	host := strings.ToLower(strings.TrimSuffix(parsed.Hostname(), "."))
	region, standard, isAWS := awsHost(host)
	switch {
	case isAWS && region == "":
		return QueueURL{}, fmt.Errorf("expected a host of SQS such as sqs.eu-west-1.amazonaws.com, found %q", host)
	case isAWS && (len(segments) != 2 || queue.Account == ""):
		return QueueURL{}, fmt.Errorf("expected the path /ACCOUNT/NAME with an account of 12 digits, found %q in the URL %q", parsed.EscapedPath(), text)
	case isAWS:
		queue.Region = region
		if standard && parsed.Scheme == "https" && (parsed.Port() == "" || parsed.Port() == "443") {
			return queue, nil
		}
	case len(segments) > 3 && segments[0] == "queue" && regionForm.MatchString(segments[1]):
		queue.Region = segments[1] // http://localhost:4566/queue/REGION/ACCOUNT/NAME
	default:
		queue.Region = hintedRegion(host)
	}
	queue.Endpoint = parsed.Scheme + "://" + parsed.Host
	return queue, nil
}

// awsHost says which region a host of AWS serves, "" where it isn't one of SQS,
// and whether it is what the SDK would ask for that region anyway.
func awsHost(host string) (region string, standard, isAWS bool) {
	for _, suffix := range standardSuffixes {
		labels, found := strings.CutSuffix(host, "."+suffix)
		if !found {
			continue
		}
		if host == "queue.amazonaws.com" {
			return "us-east-1", true, true
		}
		switch l := strings.Split(labels, "."); {
		case len(l) == 2 && l[0] == "sqs" && regionForm.MatchString(l[1]):
			return l[1], true, true
		case len(l) == 2 && l[1] == "queue" && regionForm.MatchString(l[0]):
			return l[0], true, true
		case len(l) == 2 && l[0] == "sqs-fips" && regionForm.MatchString(l[1]):
			return l[1], false, true
		case len(l) == 4 && strings.HasPrefix(l[0], "vpce-") && l[1] == "sqs" && regionForm.MatchString(l[2]) && l[3] == "vpce":
			return l[2], false, true
		}
		return "", false, true
	}
	for _, suffix := range otherSuffixes {
		labels, found := strings.CutSuffix(host, "."+suffix)
		if !found {
			continue
		}
		if l := strings.Split(labels, "."); len(l) == 2 && (l[0] == "sqs" || l[0] == "sqs-fips") && regionForm.MatchString(l[1]) {
			return l[1], false, true
		}
		return "", false, true
	}
	return "", false, false
}

// hintedRegion returns the region in the name of a host that imitates AWS's
// ("sqs.eu-west-1.localhost.example:4566"), "" where there is none.
func hintedRegion(host string) string {
	switch l := strings.Split(host, "."); {
	case len(l) > 2 && l[0] == "sqs" && regionForm.MatchString(l[1]):
		return l[1]
	case len(l) > 2 && l[1] == "queue" && regionForm.MatchString(l[0]):
		return l[0]
	}
	return ""
}

// splitARN reads "arn:PARTITION:sqs:REGION:ACCOUNT:NAME".
func splitARN(text string) (region, account, name string, ok bool) {
	parts := strings.Split(text, ":")
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "sqs" || !regionForm.MatchString(parts[3]) ||
		!accountForm.MatchString(parts[4]) || checkQueueName(parts[5]) != nil {
		return "", "", "", false
	}
	return parts[3], parts[4], parts[5], true
}

// suffixOf returns what the standard endpoint of a region ends in, for the
// partitions that the public can use.
func suffixOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "amazonaws.com.cn"
	case strings.HasPrefix(region, "eusc-"):
		return "amazonaws.eu"
	}
	return "amazonaws.com"
}

// checkQueueName holds a name against the rules of SQS.
func checkQueueName(name string) error {
	if !nameForm.MatchString(strings.TrimSuffix(name, ".fifo")) || len(name) > 80 {
		return fmt.Errorf("expected a queue name of 1 to 80 letters, digits, - and _, with .fifo at the end of a FIFO queue's, found %q", name)
	}
	return nil
}

// parseHTTPURL reads an absolute http or https URL without credentials, query
// and fragment.
func parseHTTPURL(text string) (*url.URL, error) {
	parsed, err := url.Parse(text)
	if strings.Contains(text, "@") {
		return nil, errors.New("found an @: credentials don't belong in a URL, they come from the AWS SDK's default chain")
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("found %q, which is no URL", text)
	case parsed.Scheme != "https" && parsed.Scheme != "http", parsed.Opaque != "":
		return nil, fmt.Errorf("expected https:// or http:// at the start, found %q", text)
	case parsed.Hostname() == "":
		return nil, fmt.Errorf("found no host in %q", text)
	case parsed.RawQuery != "" || parsed.ForceQuery || strings.Contains(text, "#"):
		return nil, fmt.Errorf("expected no ? and no # in the URL, found %q (is it the address of a page of the AWS console?)", text)
	}
	return parsed, nil
}
