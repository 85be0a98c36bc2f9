package cloudwatch

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscloudwatch "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/awscall"
)

const (
	getMetricData = "GetMetricData"
	// perCall is how many metrics one call may ask for (API reference).
	perCall = 500
	// maxPages bounds the pages of one answer. 500 metrics of an hour are 30,000
	// values, and a page holds up to 100,800.
	maxPages = 100
	// idPrefix begins a query's Id, which has to begin with a small letter.
	idPrefix = "m"
)

// metric is one of CloudWatch's, and where in a minute its value belongs.
type metric struct {
	name, statistic string
	fifoOnly        bool
	of              func(*metrics.Minute) **float64
}

var asked = []metric{
	{name: "NumberOfMessagesSent", statistic: "Sum", of: func(m *metrics.Minute) **float64 { return &m.Sent }},
	{name: "NumberOfMessagesReceived", statistic: "Sum", of: func(m *metrics.Minute) **float64 { return &m.Received }},
	{name: "NumberOfMessagesDeleted", statistic: "Sum", of: func(m *metrics.Minute) **float64 { return &m.Deleted }},
	{name: "ApproximateAgeOfOldestMessage", statistic: "Maximum", of: func(m *metrics.Minute) **float64 { return &m.OldestAge }},
	{name: "ApproximateNumberOfGroupsWithInflightMessages", statistic: "Maximum", fifoOnly: true,
		of: func(m *metrics.Minute) **float64 { return &m.Groups }},
}

// MetricsOf returns how many metrics one read asks for of this queue: what
// GetMetricData is paid by.
func MetricsOf(queue string) int { return len(questions([]string{queue})) }

// question is one metric of one queue.
type question struct {
	queue string
	metric
}

// questions are all metrics of all queues.
func questions(queues []string) []question {
	out := make([]question, 0, len(queues)*len(asked))
	for _, queue := range queues {
		for _, m := range asked {
			if !m.fifoOnly || strings.HasSuffix(queue, ".fifo") {
				out = append(out, question{queue, m})
			}
		}
	}
	return out
}

// ask asks for the minutes that begin in [from, to), and tells answered of each
// part of the answer, several times of one question where there are pages.
func (s *Source) ask(ctx context.Context, questions []question, from, to time.Time, answered func(question, types.MetricDataResult)) error {
	input := &awscloudwatch.GetMetricDataInput{
		StartTime: aws.Time(from), EndTime: aws.Time(to), ScanBy: types.ScanByTimestampAscending,
		MetricDataQueries: make([]types.MetricDataQuery, 0, len(questions)),
	}
	for i, q := range questions {
		input.MetricDataQueries = append(input.MetricDataQueries, types.MetricDataQuery{
			Id: aws.String(idPrefix + strconv.Itoa(i)),
			MetricStat: &types.MetricStat{
				Metric: &types.Metric{
					Namespace: aws.String("AWS/SQS"), MetricName: aws.String(q.name),
					Dimensions: []types.Dimension{{Name: aws.String("QueueName"), Value: aws.String(q.queue)}},
				},
				Period: aws.Int32(60), Stat: aws.String(q.statistic),
			},
		})
	}
	for range maxPages {
		answer, err := s.client.GetMetricData(ctx, input)
		if err != nil {
			return s.explain(err)
		}
		for _, r := range answer.MetricDataResults {
			i, err := strconv.Atoi(strings.TrimPrefix(aws.ToString(r.Id), idPrefix))
			if err != nil || i < 0 || i >= len(questions) {
				return s.odd(fmt.Sprintf("expected results for what was asked, found one for %.40q", aws.ToString(r.Id)))
			}
			if len(r.Timestamps) != len(r.Values) {
				return s.odd(fmt.Sprintf("expected a time for each value, found %d and %d", len(r.Timestamps), len(r.Values)))
			}
			answered(questions[i], r)
		}
		if aws.ToString(answer.NextToken) == "" {
			return nil
		}
		input.NextToken = answer.NextToken
	}
	return s.odd(fmt.Sprintf("expected at most %d pages, found more", maxPages))
}

// odd is an answer that makes no sense.
func (s *Source) odd(what string) error {
	return awscall.NewError(awscall.ResultBadAnswer, fmt.Sprintf("%s in %s: %s", getMetricData, s.place, what))
}

// policyStatement is what allows reading.
const policyStatement = `{"Effect": "Allow", "Action": "cloudwatch:GetMetricData", "Resource": "*"}`

// explain turns what the SDK returned into an [awscall.Error]. err is not nil.
func (s *Source) explain(err error) error {
	options := s.client.Options()
	return awscall.Call{
		Service: "CloudWatch", Operation: getMetricData, Of: "queues in " + s.place.String(),
		Endpoint: awscall.EndpointOf("CloudWatch", options.Region, options.BaseEndpoint),
		Denied: fmt.Sprintf("the caller needs cloudwatch:GetMetricData on \"*\": add %s to its policy. It is tried again every %s",
			policyStatement, RefusedRetry),
		NotFound:  "there is nothing of this kind in region " + options.Region,
		Throttled: "have fewer clients in this account ask it",
		Secrets:   s.secrets,
	}.Explain(err)
}
