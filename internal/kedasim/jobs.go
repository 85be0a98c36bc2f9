package kedasim

// ScaledJob is the part of one that decides how many Jobs KEDA creates in one
// poll. The zero value has KEDA's defaults, but for MaxReplicaCount.
type ScaledJob struct {
	// Strategy is scalingStrategy.strategy; whatever is no strategy is default.
	Strategy string
	// Deduction and RunningShare are those of the strategy custom.
	Deduction    int
	RunningShare float64
	// MinReplicaCount and MaxReplicaCount are its bounds.
	MinReplicaCount, MaxReplicaCount int
}

// Creates returns how many Jobs KEDA creates when its one trigger says value and
// active, and as many Jobs are running (pending ones included) and pending.
//
// Source: RequestJobScale, getScalingDecision and GetEffectiveMaxScale in
// pkg/scaling/executor/scale_jobs.go, getMaxValue in pkg/scaling/scaledjob.
func (s ScaledJob) Creates(value float64, active bool, running, pending int) int {
	if !active && s.MinReplicaCount <= 0 {
		return 0
	}
	wanted := 0 // "scaleTo"
	most := 0   // "maxScale"
	if active {
		wanted = ceil(value)
		most = min(wanted, s.MaxReplicaCount)
	}
	if running < s.MinReplicaCount {
		return s.MinReplicaCount - running
	}
	running -= s.MinReplicaCount
	switch s.Strategy {
	case "custom":
		most = min(most-s.Deduction-int(float64(running)*s.RunningShare), s.MaxReplicaCount)
	case "accurate":
		if most+running-pending > s.MaxReplicaCount {
			most = s.MaxReplicaCount - running
		} else {
			most -= pending
		}
	case "eager":
		most = min(s.MaxReplicaCount-running-pending, most)
		wanted = s.MaxReplicaCount
	default:
		most -= running
	}
	return max(0, min(wanted, most))
}

func ceil(value float64) int {
	whole := int(value)
	if float64(whole) < value {
		whole++
	}
	return whole
}
