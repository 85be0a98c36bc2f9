// Package check is the command headroom check: whether the queues of policies can
// be read as they are, how far behind CloudWatch is, and what reading costs. It
// changes nothing, and Headroom need not run.
package check

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/keda-headroom/headroom/internal/output"
)

// Options are the command's arguments.
type Options struct {
	// Paths are files of policies, by themselves or in ConfigMaps, and directories
	// whose YAML and JSON files are.
	Paths []string
	// CloudWatch asks CloudWatch about every queue, and not only about those whose
	// policy needs it.
	CloudWatch bool
	// Prices are what AWS asks.
	Prices Prices
	// Timeout bounds each reading.
	Timeout time.Duration
	// Output is table, json or yaml.
	Output string
	// Out gets the report.
	Out io.Writer
	// AWS is used instead of the AWS SDK's default configuration.
	AWS *aws.Config
	// Now is time.Now where it is nil.
	Now func() time.Time
}

// Prices are in US dollars, without a free tier.
type Prices struct {
	SQS        float64 `json:"sqsPerMillionCalls"`
	CloudWatch float64 `json:"cloudWatchPerThousandMetrics"`
}

// Defaults returns the options of a call without flags: the prices are those of
// us-east-1.
func Defaults() Options {
	return Options{Prices: Prices{SQS: 0.40, CloudWatch: 0.01}, Timeout: 10 * time.Second, Output: "table"}
}

// Validate reports everything that can't be right about the options.
func (o Options) Validate() error {
	var all []error
	if len(o.Paths) == 0 {
		all = append(all, errors.New("expected at least one FILE of policies"))
	}
	for _, path := range o.Paths {
		if _, err := os.Stat(path); err != nil {
			all = append(all, err)
		}
	}
	for flag, price := range map[string]float64{"--sqs-price": o.Prices.SQS, "--cloudwatch-price": o.Prices.CloudWatch} {
		if math.IsNaN(price) || price < 0 || price > 1000 {
			all = append(all, fmt.Errorf("%s: expected a price of 0 to 1000, found %v", flag, price))
		}
	}
	if o.Timeout <= 0 {
		all = append(all, fmt.Errorf("--timeout: expected more than 0, found %s", o.Timeout))
	}
	if err := output.Check(o.Output); err != nil {
		all = append(all, err)
	}
	return errors.Join(all...)
}

func (o Options) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}
