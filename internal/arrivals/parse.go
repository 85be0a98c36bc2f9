package arrivals

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// MaxInput is the most bytes that a trace may have.
const MaxInput = 256 << 20

// Parse reads a trace: CSV with a column of times and one of counts, or JSON as
// `aws cloudwatch get-metric-data` and `get-metric-statistics` print it.
func Parse(data []byte) (Trace, error) {
	points, err := parse(data)
	if err != nil {
		return Trace{}, err
	}
	return build(points)
}

func parse(data []byte) ([]point, error) {
	if len(data) > MaxInput {
		return nil, fmt.Errorf("expected at most %d bytes, found %d", MaxInput, len(data))
	}
	if text := bytes.TrimLeft(data, "\ufeff \t\r\n"); len(text) > 0 && text[0] == '{' {
		return parseCloudWatch(text)
	}
	return parseCSV(data)
}

// parseCSV reads rows of a time and a count. A first row of names is passed over;
// columns after the second are too.
func parseCSV(data []byte) ([]point, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	r.FieldsPerRecord, r.TrimLeadingSpace, r.Comment = -1, true, '#'
	var points []point
	for first := true; ; first = false {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return points, nil
		}
		if err != nil {
			return nil, fmt.Errorf("expected CSV of timestamp,value: %w", err)
		}
		line, _ := r.FieldPos(0)
		where := fmt.Sprintf("line %d", line)
		if len(row) < 2 {
			return nil, fmt.Errorf("%s: expected timestamp,value, found %q", where, strings.Join(row, ","))
		}
		at, timeErr := parseTime(row[0])
		count, countErr := strconv.ParseFloat(strings.TrimSpace(row[1]), 64)
		if timeErr != nil && countErr != nil && first {
			continue // names of columns
		}
		if timeErr != nil {
			return nil, fmt.Errorf("%s: %w", where, timeErr)
		}
		if countErr != nil {
			return nil, fmt.Errorf("%s: expected a number of messages, found %q", where, row[1])
		}
		points = append(points, point{at, count, where})
	}
}

var layouts = []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02"}

// parseTime reads a time; without a zone it is UTC, and a number is of seconds
// since 1970.
func parseTime(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	if s, err := strconv.ParseFloat(text, 64); err == nil && s > -1e11 && s < 1e11 {
		whole, part := math.Modf(s)
		return time.Unix(int64(whole), int64(part*1e9)).UTC(), nil
	}
	return time.Time{}, fmt.Errorf(`expected a time such as "2026-03-01T12:00:00Z", "2026-03-01 12:00:00" or seconds since 1970, found %q`, text)
}

// cloudWatchExport is what the AWS command line prints: one of the two lists.
type cloudWatchExport struct {
	MetricDataResults []struct {
		ID         string      `json:"Id"`
		Label      string      `json:"Label"`
		Timestamps []time.Time `json:"Timestamps"`
		Values     []float64   `json:"Values"`
	} `json:"MetricDataResults"`
	Datapoints []struct {
		Timestamp time.Time `json:"Timestamp"`
		Sum       *float64  `json:"Sum"`
	} `json:"Datapoints"`
}

// sent is the metric that says how many messages came.
const sent = "NumberOfMessagesSent"

func parseCloudWatch(data []byte) ([]point, error) {
	var in cloudWatchExport
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, fmt.Errorf("expected what `aws cloudwatch get-metric-data` or `get-metric-statistics` prints: %w", err)
	}
	var points []point
	for i, p := range in.Datapoints {
		where := fmt.Sprintf("Datapoints[%d]", i)
		if p.Sum == nil {
			return nil, fmt.Errorf("%s: expected a Sum (--statistics Sum), found none", where)
		}
		points = append(points, point{p.Timestamp.UTC(), *p.Sum, where})
	}
	if len(points) > 0 {
		return points, nil
	}
	chosen, labels := -1, []string(nil)
	for i, r := range in.MetricDataResults {
		labels = append(labels, fmt.Sprintf("%q", r.Label))
		if strings.Contains(r.Label, sent) || strings.EqualFold(r.ID, sent) || strings.EqualFold(r.ID, "sent") {
			if chosen >= 0 {
				return nil, fmt.Errorf("expected one result of %s, found MetricDataResults[%d] and [%d]", sent, chosen, i)
			}
			chosen = i
		}
	}
	if len(in.MetricDataResults) == 1 {
		chosen = 0
	}
	if chosen < 0 {
		return nil, fmt.Errorf("expected Datapoints, or a result labeled %s, found %s", sent, strings.Join(append(labels, "nothing else"), ", "))
	}
	r := in.MetricDataResults[chosen]
	if len(r.Timestamps) != len(r.Values) {
		return nil, fmt.Errorf("MetricDataResults[%d]: expected as many Values as Timestamps, found %d and %d", chosen, len(r.Values), len(r.Timestamps))
	}
	for i, at := range r.Timestamps {
		points = append(points, point{at.UTC(), r.Values[i], fmt.Sprintf("MetricDataResults[%d].Values[%d]", chosen, i)})
	}
	return points, nil
}
