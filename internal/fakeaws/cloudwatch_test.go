package fakeaws

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
)

// monitor asks one server's CloudWatch.
type monitor struct {
	suite
	client *cloudwatch.Client
	began  time.Time
}

// monitored runs a test on virtual time, from the start of a minute, with
// CloudWatch over either protocol.
func monitored(t *testing.T, o Options, test func(m monitor, server *Server)) {
	t.Helper()
	asJSON := func(o *cloudwatch.Options) { o.Protocol = awsjson.New10(schemas.GraniteServiceVersion20100801) }
	for name, options := range map[string][]func(*cloudwatch.Options){"CBOR": nil, "JSON": {asJSON}} {
		t.Run(name, func(t *testing.T) {
			virtually(t, o, func(s suite, server *Server) {
				test(monitor{s, cloudwatch.NewFromConfig(server.InProcess(), options...), time.Now()}, server)
			})
		})
	}
}

func stat(id, namespace, metric, dimension, value, statistic string, period int32) cwtypes.MetricDataQuery {
	return cwtypes.MetricDataQuery{Id: &id, MetricStat: &cwtypes.MetricStat{
		Metric: &cwtypes.Metric{
			Namespace: &namespace, MetricName: &metric,
			Dimensions: []cwtypes.Dimension{{Name: &dimension, Value: &value}},
		},
		Period: &period, Stat: &statistic,
	}}
}

func ofQueue(url, metric, statistic string) cwtypes.MetricDataQuery {
	return stat("q", "AWS/SQS", metric, "QueueName", queueOf(url), statistic, 60)
}

// points asks for one metric since the test began, oldest first, and writes
// the answer as minute:value pairs.
func (m monitor) points(q cwtypes.MetricDataQuery) string {
	m.Helper()
	out, err := m.client.GetMetricData(m.ctx(), &cloudwatch.GetMetricDataInput{
		StartTime: &m.began, EndTime: aws.Time(time.Now().Add(time.Hour)),
		ScanBy: cwtypes.ScanByTimestampAscending, MetricDataQueries: []cwtypes.MetricDataQuery{q},
	})
	m.ok(err)
	m.equal("results", len(out.MetricDataResults), 1)
	return m.write(out.MetricDataResults[0])
}

func (m monitor) write(r cwtypes.MetricDataResult) string {
	var b strings.Builder
	for i, at := range r.Timestamps {
		fmt.Fprintf(&b, " %v:%v", at.Sub(m.began).Minutes(), r.Values[i])
	}
	return strings.TrimSpace(b.String())
}

func TestQueueMetrics(t *testing.T) {
	monitored(t, Options{}, func(m monitor, server *Server) {
		url := m.create("orders", nil)
		time.Sleep(29 * time.Second)
		m.send(url, "a") // minute 0
		m.send(url, "b")
		time.Sleep(time.Minute)
		m.delete(url, m.receiveOne(url, 0)) // minute 1
		m.receiveOne(url, 0)
		m.none(url, 0)
		time.Sleep(20 * time.Second)
		_, err := m.suite.client.SendMessage(m.ctx(), sendDelayed(url, "c", 60))
		m.ok(err)
		time.Sleep(71 * time.Second) // to the start of minute 3

		for metric, expected := range map[string]string{
			"NumberOfMessagesSent":                  "0:2 1:1 2:0",
			"NumberOfMessagesReceived":              "0:0 1:2 2:0",
			"NumberOfMessagesDeleted":               "0:0 1:1 2:0",
			"NumberOfEmptyReceives":                 "0:0 1:1 2:0",
			"ApproximateNumberOfMessagesVisible":    "0:0 1:2 2:1", // b is back after 30 s
			"ApproximateNumberOfMessagesNotVisible": "0:0 1:0 2:0",
			"ApproximateNumberOfMessagesDelayed":    "0:0 1:0 2:1",
			"ApproximateAgeOfOldestMessage":         "0:0 1:31 2:91",
			"NoSuchMetric":                          "",
		} {
			m.equal(metric, m.points(ofQueue(url, metric, "Sum")), expected)
		}
		m.equal("a queue that is not there", m.points(ofQueue(url+"x", "NumberOfMessagesSent", "Sum")), "")
		m.equal("a metric of FIFO queues", m.points(ofQueue(url, "ApproximateNumberOfGroupsWithInflightMessages", "Sum")), "")
	})
}

func TestAgeLeavesPoisonOut(t *testing.T) {
	monitored(t, Options{}, func(m monitor, server *Server) {
		url := m.create("orders", nil)
		fifo := m.createFIFO("orders", nil)
		m.send(url, "poison")
		m.sendFIFO(fifo, "a", "poison", "1")
		time.Sleep(30 * time.Second)
		m.send(url, "good")
		time.Sleep(30 * time.Second)
		for range 3 {
			for _, q := range []string{url, fifo} {
				for _, received := range m.receive(q, 0, 10, nil) {
					if *received.Body == "poison" {
						m.changeVisibility(q, received, 0)
					} else {
						m.changeVisibility(q, received, 600)
					}
				}
			}
		}
		time.Sleep(2 * time.Minute)
		m.equal("standard", m.points(ofQueue(url, "ApproximateAgeOfOldestMessage", "Maximum")), "0:0 1:60 2:90")
		m.equal("FIFO", m.points(ofQueue(fifo, "ApproximateAgeOfOldestMessage", "Maximum")), "0:0 1:60 2:120")
	})
}

func TestLevelsAreMeasuredAtTheOffset(t *testing.T) {
	monitored(t, Options{SampleOffset: 45 * time.Second}, func(m monitor, server *Server) {
		url := m.create("orders", nil)
		m.send(url, "x")
		time.Sleep(2 * time.Minute)
		m.equal("age", m.points(ofQueue(url, "ApproximateAgeOfOldestMessage", "Maximum")), "0:45 1:105")
	})
}

func TestPointsShowAfterTheDelay(t *testing.T) {
	monitored(t, Options{PublishingDelay: 3 * time.Minute}, func(m monitor, server *Server) {
		url := m.create("orders", nil)
		sent := ofQueue(url, "NumberOfMessagesSent", "Sum")
		time.Sleep(4*time.Minute - time.Nanosecond)
		m.equal("just before", m.points(sent), "")
		time.Sleep(time.Nanosecond)
		m.equal("minute 0, after its end and 3 minutes", m.points(sent), "0:0")
		server.SetPublishingDelay(0)
		m.equal("without delay", m.points(sent), "0:0 1:0 2:0 3:0")

		// Late, out of order, and missing.
		server.SetPublishing(func(metric Metric, start time.Time) (time.Duration, bool) {
			switch start.Sub(m.began) {
			case 0:
				return time.Hour, true
			case time.Minute:
				return 0, false
			}
			return 0, metric.Name == "NumberOfMessagesSent"
		})
		m.equal("by point", m.points(sent), "2:0 3:0")
		m.equal("by metric", m.points(ofQueue(url, "NumberOfMessagesDeleted", "Sum")), "")
		time.Sleep(57*time.Minute + time.Second)
		m.equal("the late point", strings.HasPrefix(m.points(sent), "0:0 2:0 "), true)
	})
}

func TestAnUnusedQueueFallsAsleep(t *testing.T) {
	monitored(t, Options{}, func(m monitor, server *Server) {
		url := m.create("orders", nil)
		time.Sleep(10 * time.Hour)
		sent := ofQueue(url, "NumberOfMessagesSent", "Sum")
		m.equal("points of the first 6 hours", len(strings.Fields(m.points(sent))), 360)
		m.send(url, "x")
		time.Sleep(20 * time.Minute)
		points := strings.Fields(m.points(sent))
		m.equal("points", len(points), 365)
		m.equal("the first after 15 minutes", points[360], "615:0")
		time.Sleep(10 * time.Hour)
		m.equal("points while it holds a message", len(strings.Fields(m.points(sent))), 965)
	})
}

func TestOtherMetrics(t *testing.T) {
	monitored(t, Options{}, func(m monitor, server *Server) {
		metric := Metric{"AWS/RDS", "DatabaseConnections", "DBInstanceIdentifier", "orders-db"}
		server.SetMetric(metric, func(at time.Time) (float64, bool) {
			minutes := at.Sub(m.began).Minutes()
			return 10 * minutes, minutes != 2
		})
		time.Sleep(6 * time.Minute)
		ask := func(statistic string, period int32) string {
			return m.points(stat("c", metric.Namespace, metric.Name, metric.Dimension, metric.Value, statistic, period))
		}
		m.equal("every minute", ask("Maximum", 60), "0:10 2:30 3:40 4:50 5:60")
		m.equal("Maximum of 3 minutes", ask("Maximum", 180), "0:30 3:60")
		m.equal("Minimum of 3 minutes", ask("Minimum", 180), "0:10 3:40")
		m.equal("Average of 3 minutes", ask("Average", 180), "0:20 3:50")
		m.equal("Sum of 3 minutes", ask("Sum", 180), "0:40 3:150")
		m.equal("SampleCount of 3 minutes", ask("SampleCount", 180), "0:2 3:3")
		server.SetMetric(metric, nil)
		m.equal("after its end", ask("Maximum", 60), "")
	})
}

func TestManyQueriesInOneCall(t *testing.T) {
	monitored(t, Options{}, func(m monitor, server *Server) {
		var queries []cwtypes.MetricDataQuery
		for i := range 500 {
			url := m.create(fmt.Sprint("orders-", i), nil)
			for range i % 3 {
				m.send(url, "x")
			}
			q := ofQueue(url, "NumberOfMessagesSent", "Sum")
			q.Id = aws.String(fmt.Sprint("q", i))
			queries = append(queries, q)
		}
		time.Sleep(2 * time.Minute)
		in := &cloudwatch.GetMetricDataInput{StartTime: &m.began, EndTime: aws.Time(time.Now()), MetricDataQueries: queries}
		out, err := m.client.GetMetricData(m.ctx(), in)
		m.ok(err)
		m.equal("results", len(out.MetricDataResults), 500)
		for i, r := range out.MetricDataResults {
			m.equal("ID", *r.Id, *queries[i].Id)
			m.equal("label", *r.Label, "NumberOfMessagesSent")
			m.equal("status", r.StatusCode, cwtypes.StatusCodeComplete)
			m.equal("points, newest first", m.write(r), fmt.Sprintf("1:0 0:%d", i%3))
		}
		in.MetricDataQueries = append(queries, ofQueue("orders", "NumberOfMessagesSent", "Sum"))
		_, err = m.client.GetMetricData(m.ctx(), in)
		m.code(err, "ValidationError")
	})
}

func TestPagesOfPoints(t *testing.T) {
	monitored(t, Options{}, func(m monitor, server *Server) {
		url := m.create("orders", nil)
		time.Sleep(5 * time.Minute)
		first, second := ofQueue(url, "NumberOfMessagesSent", "Sum"), ofQueue(url, "NumberOfMessagesDeleted", "Sum")
		second.Id = aws.String("second")
		pages := cloudwatch.NewGetMetricDataPaginator(m.client, &cloudwatch.GetMetricDataInput{
			StartTime: &m.began, EndTime: aws.Time(m.began.Add(time.Hour)), MaxDatapoints: aws.Int32(3),
			MetricDataQueries: []cwtypes.MetricDataQuery{first, second},
		})
		var found []string
		for pages.HasMorePages() {
			out, err := pages.NextPage(m.ctx())
			m.ok(err)
			for _, r := range out.MetricDataResults {
				if len(r.Timestamps) > 0 {
					found = append(found, *r.Id+" "+m.write(r))
				}
			}
			time.Sleep(time.Minute) // a point that shows meanwhile shifts nothing
		}
		m.equal("pages", strings.Join(found, " | "), "q 4:0 3:0 2:0 | q 1:0 0:0 | second 4:0 | second 3:0 2:0 1:0 | second 0:0")
	})
}

func TestMetricQueriesThatAreWrong(t *testing.T) {
	monitored(t, Options{}, func(m monitor, server *Server) {
		good := func() (*cloudwatch.GetMetricDataInput, *cwtypes.MetricDataQuery) {
			in := &cloudwatch.GetMetricDataInput{
				StartTime: &m.began, EndTime: aws.Time(m.began.Add(time.Hour)),
				MetricDataQueries: []cwtypes.MetricDataQuery{ofQueue("/orders", "NumberOfMessagesSent", "Sum")},
			}
			return in, &in.MetricDataQueries[0]
		}
		for name, spoil := range map[string]func(*cloudwatch.GetMetricDataInput, *cwtypes.MetricDataQuery){
			"times reversed": func(in *cloudwatch.GetMetricDataInput, _ *cwtypes.MetricDataQuery) { in.EndTime = in.StartTime },
			"no queries": func(in *cloudwatch.GetMetricDataInput, _ *cwtypes.MetricDataQuery) {
				in.MetricDataQueries = []cwtypes.MetricDataQuery{}
			},
			"scan order": func(in *cloudwatch.GetMetricDataInput, _ *cwtypes.MetricDataQuery) { in.ScanBy = "Sideways" },
			"too many points": func(in *cloudwatch.GetMetricDataInput, _ *cwtypes.MetricDataQuery) {
				in.MaxDatapoints = aws.Int32(100801)
			},
			"ID": func(_ *cloudwatch.GetMetricDataInput, q *cwtypes.MetricDataQuery) { q.Id = aws.String("Upper") },
			"same ID": func(in *cloudwatch.GetMetricDataInput, q *cwtypes.MetricDataQuery) {
				in.MetricDataQueries = append(in.MetricDataQueries, *q)
			},
			"expression": func(_ *cloudwatch.GetMetricDataInput, q *cwtypes.MetricDataQuery) { q.Expression = aws.String("m1/2") },
			"no metric":  func(_ *cloudwatch.GetMetricDataInput, q *cwtypes.MetricDataQuery) { q.MetricStat = nil },
			"period": func(_ *cloudwatch.GetMetricDataInput, q *cwtypes.MetricDataQuery) {
				q.MetricStat.Period = aws.Int32(90)
			},
			"statistic": func(_ *cloudwatch.GetMetricDataInput, q *cwtypes.MetricDataQuery) {
				q.MetricStat.Stat = aws.String("Median")
			},
		} {
			in, q := good()
			spoil(in, q)
			_, err := m.client.GetMetricData(m.ctx(), in)
			if err == nil {
				m.Errorf("%s: expected an error, found an answer", name)
				continue
			}
			m.code(err, "ValidationError")
		}
		in, _ := good()
		in.NextToken = aws.String("not one of ours")
		_, err := m.client.GetMetricData(m.ctx(), in)
		failsAs[*cwtypes.InvalidNextToken](m.suite, err)
		in, q := good()
		q.ReturnData = aws.Bool(false)
		out, err := m.client.GetMetricData(m.ctx(), in)
		m.ok(err)
		m.equal("results that nobody wants", len(out.MetricDataResults), 0)
	})
}
