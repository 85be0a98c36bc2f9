package fakeaws

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// Limits of GetMetricData in its API reference.
const (
	maxQueries    = 500
	maxDatapoints = 100800
)

type metricDataInput struct {
	StartTime         *epoch
	EndTime           *epoch
	MetricDataQueries []metricDataQuery
	ScanBy            string
	MaxDatapoints     *int
	NextToken         string
}

type metricDataQuery struct {
	ID         string `json:"Id"`
	Label      *string
	Expression string
	ReturnData *bool
	MetricStat *metricStat
}

type metricStat struct {
	Metric struct {
		Namespace  string
		MetricName string
		Dimensions []struct{ Name, Value string }
	}
	Period int
	Stat   string
}

type metricDataResult struct {
	ID         string `json:"Id"`
	Label      string
	StatusCode string
	Timestamps []epoch
	Values     []float64
}

type metricDataOutput struct {
	MetricDataResults []metricDataResult
	Messages          []string // never any; a list in both protocols
	NextToken         string   `json:",omitempty"`
}

var validQueryID = regexp.MustCompile(`^[a-z][a-zA-Z0-9_]{0,254}$`)

// statistics combine the one-minute values of one period.
var statistics = map[string]func([]float64) float64{
	"Sum":         sum,
	"Average":     func(v []float64) float64 { return sum(v) / float64(len(v)) },
	"Minimum":     func(v []float64) float64 { return slices.Min(v) },
	"Maximum":     func(v []float64) float64 { return slices.Max(v) },
	"SampleCount": func(v []float64) float64 { return float64(len(v)) },
}

func sum(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total
}

func (in *metricDataInput) check() error {
	switch {
	case in.StartTime == nil || in.EndTime == nil:
		return errValidation("The parameters StartTime and EndTime are required.")
	case !in.StartTime.Before(in.EndTime.Time):
		return errValidation("The parameter StartTime must be less than the parameter EndTime.")
	case len(in.MetricDataQueries) == 0 || len(in.MetricDataQueries) > maxQueries:
		return errValidation("The collection MetricDataQueries must have a size between 1 and %d, found %d.", maxQueries, len(in.MetricDataQueries))
	case in.ScanBy != "" && in.ScanBy != "TimestampAscending" && in.ScanBy != "TimestampDescending":
		return errValidation("The value %s for parameter ScanBy is not supported.", in.ScanBy)
	case in.MaxDatapoints != nil && (*in.MaxDatapoints < 1 || *in.MaxDatapoints > maxDatapoints):
		return errValidation("The parameter MaxDatapoints must be between 1 and %d, found %d.", maxDatapoints, *in.MaxDatapoints)
	}
	seen := map[string]bool{}
	for i, q := range in.MetricDataQueries {
		where := fmt.Sprintf("MetricDataQueries.member.%d", i+1)
		switch {
		case !validQueryID.MatchString(q.ID):
			return errValidation("The value %q for parameter %s.Id must match %s.", q.ID, where, validQueryID)
		case seen[q.ID]:
			return errValidation("The parameter %s.Id is a duplicate: %s.", where, q.ID)
		case q.Expression != "":
			return errValidation("%s: this stand-in has no metric math; expected MetricStat, found Expression %q.", where, q.Expression)
		case q.MetricStat == nil:
			return errValidation("%s must have either an Expression or a MetricStat.", where)
		case q.MetricStat.Metric.Namespace == "" || q.MetricStat.Metric.MetricName == "":
			return errValidation("The parameters %s.MetricStat.Metric.Namespace and MetricName are required.", where)
		case q.MetricStat.Period < 60 || q.MetricStat.Period%60 != 0 || q.MetricStat.Period > 86400:
			return errValidation("The parameter %s.MetricStat.Period must be a multiple of 60 up to 86400 here, found %d.", where, q.MetricStat.Period)
		case statistics[q.MetricStat.Stat] == nil:
			return errValidation("The value %s for parameter %s.MetricStat.Stat is not supported.", q.MetricStat.Stat, where)
		}
		seen[q.ID] = true
	}
	return nil
}

// pageToken says where a page begins: after how many points, and as of what
// moment, so that points published meanwhile do not shift the pages.
type pageToken struct {
	skip int
	asOf time.Time
}

func (t pageToken) String() string { return fmt.Sprintf("%d-%d", t.skip, t.asOf.UnixNano()) }

func parsePageToken(text string, now time.Time) (pageToken, error) {
	if text == "" {
		return pageToken{asOf: now}, nil
	}
	var t pageToken
	var nanos int64
	if _, err := fmt.Sscanf(text, "%d-%d", &t.skip, &nanos); err != nil || t.skip < 0 {
		return t, &apiError{400, "com.amazonaws.cloudwatch#InvalidNextToken", "InvalidNextToken", fmt.Sprintf("expected a NextToken of an earlier answer, found %q", text)}
	}
	t.asOf = time.Unix(0, nanos)
	return t, nil
}

func (s *Server) getMetricData(_ call, in *metricDataInput) (*metricDataOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	page, err := parsePageToken(in.NextToken, s.now())
	if err != nil {
		return nil, err
	}
	room := cmp.Or(s.options.PageDatapoints, maxDatapoints)
	if in.MaxDatapoints != nil {
		room = *in.MaxDatapoints
	}
	out := &metricDataOutput{MetricDataResults: []metricDataResult{}, Messages: []string{}}
	skip, next := page.skip, page
	for _, q := range in.MetricDataQueries {
		if q.ReturnData != nil && !*q.ReturnData {
			continue
		}
		r := s.metricData(q, in, page.asOf)
		skipped := min(skip, len(r.Values))
		skip -= skipped
		taken := min(room, len(r.Values)-skipped)
		room -= taken
		next.skip += taken
		if skipped+taken < len(r.Values) {
			r.StatusCode = "PartialData"
			out.NextToken = next.String()
		}
		r.Timestamps, r.Values = r.Timestamps[skipped:skipped+taken], r.Values[skipped:skipped+taken]
		out.MetricDataResults = append(out.MetricDataResults, r)
	}
	return out, nil
}

// metricData answers one query as if it were alone.
func (s *Server) metricData(q metricDataQuery, in *metricDataInput, asOf time.Time) metricDataResult {
	wanted := q.MetricStat.Metric
	r := metricDataResult{ID: q.ID, Label: wanted.MetricName, StatusCode: "Complete", Timestamps: []epoch{}, Values: []float64{}}
	if q.Label != nil {
		r.Label = *q.Label
	}
	if len(wanted.Dimensions) != 1 {
		return r // CloudWatch knows a metric only by exactly its dimensions
	}
	m := Metric{wanted.Namespace, wanted.MetricName, wanted.Dimensions[0].Name, wanted.Dimensions[0].Value}
	period := time.Duration(q.MetricStat.Period) * time.Second
	var values []float64
	points := s.published(m, in.StartTime.Truncate(minute), in.EndTime.Time, asOf)
	for i, p := range points {
		values = append(values, p.amount)
		start := p.start.Truncate(period)
		if i+1 < len(points) && points[i+1].start.Truncate(period).Equal(start) {
			continue
		}
		r.Timestamps = append(r.Timestamps, epoch{start})
		r.Values = append(r.Values, statistics[q.MetricStat.Stat](values))
		values = values[:0]
	}
	if in.ScanBy != "TimestampAscending" {
		slices.Reverse(r.Timestamps)
		slices.Reverse(r.Values)
	}
	return r
}

func (o *metricDataOutput) cbor() cbor.Value {
	results := cbor.List{}
	for _, r := range o.MetricDataResults {
		timestamps, values := cbor.List{}, cbor.List{}
		for i := range r.Values {
			timestamps = append(timestamps, r.Timestamps[i].cbor())
			values = append(values, cbor.Float64(r.Values[i]))
		}
		results = append(results, cbor.Map{
			"Id": cbor.String(r.ID), "Label": cbor.String(r.Label), "StatusCode": cbor.String(r.StatusCode),
			"Timestamps": timestamps, "Values": values,
		})
	}
	out := cbor.Map{"MetricDataResults": results, "Messages": cbor.List{}}
	if o.NextToken != "" {
		out["NextToken"] = cbor.String(o.NextToken)
	}
	return out
}
