package check

import (
	"time"

	"github.com/keda-headroom/headroom/metrics/cloudwatch"
)

const month = 30 * 24 * time.Hour

// cost is what reading a queue takes: calls are month ÷ interval, metrics are those
// of one read, month ÷ a minute times.
func cost(q queue, prices Prices) Cost {
	out := Cost{Calls: int64(month / q.poll), IdleCalls: int64(month / max(q.idle, q.poll))}
	if q.asks {
		out.Metrics = int64(cloudwatch.MetricsOf(q.metricsName)) * int64(month/cloudwatch.Interval)
	}
	out.SQS = float64(out.Calls) / 1e6 * prices.SQS
	out.IdleSQS = float64(out.IdleCalls) / 1e6 * prices.SQS
	out.CloudWatch = float64(out.Metrics) / 1e3 * prices.CloudWatch
	return out
}
