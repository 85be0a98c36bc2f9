package scaler

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/trigger"
)

// DefaultMaxPlanAge is how old a plan may be to be answered. Plans are a second
// apart, so an older one means that this process was stopped or starved, and what
// it knows is no longer so.
const DefaultMaxPlanAge = 15 * time.Second

// namedWorkloads is how many workloads an error names at most.
const namedWorkloads = 10

// Service answers KEDA from the planner's latest state: it does no I/O and never
// waits, because KEDA sets no deadline and holds a lock of its own while it asks.
// It remembers nothing but when KEDA was last told to create Jobs of a ScaledJob:
// every other question has the same answer for everybody, as often as it is asked.
//
// GetMetricSpec and StreamMetricSpec never fail, not even for a workload that
// nobody knows or metadata that is wrong: while the spec is missing KEDA does not
// apply its fallback, and an HPA without a spec scales on CPU. What is wrong is
// said by the other calls:
//
//	InvalidArgument  the trigger's metadata is wrong
//	NotFound         no policy governs the workload
//	Unavailable      there is no plan yet, or no value that may be trusted, or
//	                 another Headroom leads; the HPA holds, and KEDA's fallback
//	                 applies
type Service struct {
	pb.UnimplementedExternalScalerServer

	state      func() *State
	standby    func() string
	now        func() time.Time
	maxPlanAge time.Duration
	stopping   <-chan struct{}
	jobs       jobOrders
}

// ServiceOptions say what a [Service] answers from. State is required.
type ServiceOptions struct {
	// State returns the latest state: [Planner.State].
	State func() *State
	// Standby says why another Headroom has to be asked, "" where it is this one;
	// nil is always this one. It must not wait.
	Standby func() string
	// Stopping ends every stream when it is closed; nil never does.
	Stopping <-chan struct{}
	// MaxPlanAge is how old a plan may be to be answered, 0 for the default.
	MaxPlanAge time.Duration
	// Now is time.Now where it is nil.
	Now func() time.Time
}

// NewService returns the service.
func NewService(options ServiceOptions) *Service {
	s := &Service{
		state: options.State, standby: options.Standby, now: options.Now, maxPlanAge: options.MaxPlanAge, stopping: options.Stopping,
	}
	if s.standby == nil {
		s.standby = func() string { return "" }
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.maxPlanAge <= 0 {
		s.maxPlanAge = DefaultMaxPlanAge
	}
	return s
}

// GetMetricSpec says that the metric's value is the number of replicas wanted.
func (s *Service) GetMetricSpec(_ context.Context, ref *pb.ScaledObjectRef) (*pb.GetMetricSpecResponse, error) {
	return metricSpec(ref), nil
}

// GetMetrics returns the number of replicas that there should be, or that the
// databases carry, as one value.
func (s *Service) GetMetrics(_ context.Context, request *pb.GetMetricsRequest) (*pb.GetMetricsResponse, error) {
	ref := request.GetScaledObjectRef()
	state := s.state()
	asked, err := s.asked(state, ref)
	if err != nil {
		return nil, err
	}
	w := asked.plan
	if w.Failure != "" {
		return nil, status.Error(codes.Unavailable, w.Failure)
	}
	value := w.Value
	switch {
	case asked.metric == trigger.Ceiling:
		value = ceiling(w)
	case asked.createsJobs() && !s.jobs.give(w.ID, state.At, s.now()):
		value = 0
	}
	whole, exact, err := encode(value)
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "workload %s: %v", w.ID, err)
	}
	return &pb.GetMetricsResponse{MetricValues: []*pb.MetricValue{{
		MetricName:       metricName(ref),
		MetricValue:      whole,
		MetricValueFloat: exact,
	}}}, nil
}

// IsActive says whether the workload may go from zero to one, and must not go to
// zero.
func (s *Service) IsActive(_ context.Context, ref *pb.ScaledObjectRef) (*pb.IsActiveResponse, error) {
	w, err := s.workload(s.state(), ref)
	if err != nil {
		return nil, err
	}
	return &pb.IsActiveResponse{Result: w.Active}, nil
}

// unlimited is a ceiling that limits nothing.
const unlimited = math.MaxInt32

// ceiling returns what limits another trigger's demand. A workload in mode Observe
// is limited by nothing, whatever the plan would have said.
func ceiling(w *policy.WorkloadPlan) float64 {
	if w.Mode == policy.Observe {
		return unlimited
	}
	return float64(w.Ceiling)
}

// question is what a trigger asks for: a number of a plan.
type question struct {
	plan      *policy.WorkloadPlan
	metric    trigger.Metric
	scaledJob bool // the plan is of a ScaledJob
}

// createsJobs reports whether the plan makes KEDA create Jobs.
func (q question) createsJobs() bool { return q.scaledJob && q.plan.Active && q.plan.Value > 0 }

// workload returns the plan that ref asks for, or an error for KEDA that says
// what to fix.
func (s *Service) workload(state *State, ref *pb.ScaledObjectRef) (*policy.WorkloadPlan, error) {
	asked, err := s.asked(state, ref)
	return asked.plan, err
}

// asked returns the same, and which number of it ref asks for.
func (s *Service) asked(state *State, ref *pb.ScaledObjectRef) (question, error) {
	asked, err := parseRef(ref)
	if err != nil {
		return question{}, status.Error(codes.InvalidArgument, err.Error())
	}
	if why := s.standby(); why != "" {
		return question{}, status.Error(codes.Unavailable, why)
	}
	id := asked.Workload
	if !state.Planned() {
		return question{}, status.Error(codes.Unavailable,
			"no plan yet: Headroom has just started, or no policy of it was valid so far (its log and headroom_policy_valid say which)")
	}
	w, ok := state.Workload(id)
	if !ok {
		return question{}, status.Error(codes.NotFound, unknownWorkload(state, id))
	}
	p, _ := state.Policy(id)
	if kind, field, name := scaledBy(p); name != "" && ref.GetName() != "" && name != ref.GetName() {
		return question{}, status.Errorf(codes.InvalidArgument,
			"workload %s is governed for %s %q, and %q asks for it: two of them would each scale to the whole target; correct %s in the policy or workload in the trigger's metadata",
			id, kind, name, ref.GetName(), field)
	}
	if age := s.now().Sub(state.At); age > s.maxPlanAge {
		return question{}, status.Errorf(codes.Unavailable,
			"the last plan is %s old, %s is allowed: Headroom was stopped or gets no CPU", age.Round(time.Second), s.maxPlanAge)
	}
	return question{plan: w, metric: asked.Metric, scaledJob: p.ScaledJob != ""}, nil
}

// scaledBy returns what a workload is scaled by, as far as its policy says so, and
// the field that does. KEDA doesn't say which of both kinds asks.
func scaledBy(w policy.Workload) (kind, field, name string) {
	if w.ScaledJob != "" {
		return "ScaledJob", "scaledJobRef", w.ScaledJob
	}
	return "ScaledObject", "scaledObjectRef", w.ScaledObject
}

// unknownWorkload says which workloads of id's namespace are governed. Other
// namespaces' are nobody's business there.
func unknownWorkload(state *State, id metrics.ID) string {
	var known []string
	for _, w := range state.Set.Workloads {
		if w.ID.Namespace == id.Namespace {
			known = append(known, w.ID.Name)
		}
	}
	if len(known) == 0 {
		return fmt.Sprintf("no policy governs workload %s, nor any other in namespace %s: add a Policy there with a workload named %q",
			id, id.Namespace, id.Name)
	}
	more := ""
	if len(known) > namedWorkloads {
		more = fmt.Sprintf(" and %d more", len(known)-namedWorkloads)
		known = known[:namedWorkloads]
	}
	return fmt.Sprintf("no policy governs workload %s; in namespace %s there are %s%s: correct workload in the trigger's metadata, or add it to a Policy there",
		id, id.Namespace, strings.Join(known, ", "), more)
}

// parseRef returns what a trigger asks for, or an error that says what to fix in
// its metadata.
func parseRef(ref *pb.ScaledObjectRef) (trigger.Asked, error) {
	if ref.GetNamespace() == "" {
		return trigger.Asked{}, fmt.Errorf("expected the namespace of a ScaledObject in the request, found none")
	}
	asked, err := trigger.Parse(ref.GetNamespace(), ref.GetScalerMetadata())
	if err != nil {
		return trigger.Asked{}, fmt.Errorf("ScaledObject %s/%s: %w", ref.GetNamespace(), ref.GetName(), err)
	}
	return asked, nil
}

// metricSpec is the one metric of a trigger: a value of n means n replicas.
func metricSpec(ref *pb.ScaledObjectRef) *pb.GetMetricSpecResponse {
	return &pb.GetMetricSpecResponse{MetricSpecs: []*pb.MetricSpec{{
		MetricName:      metricName(ref),
		TargetSize:      1,
		TargetSizeFloat: 1,
	}}}
}

// maxMetricName bounds a name that comes from a request.
const maxMetricName = 200

// metricName names the metric of a trigger by its workload, or by its ScaledObject
// where none is given, and a ceiling as one. KEDA puts "s0-" before it and
// Kubernetes wants it to be one segment of a path. Nothing is looked up by it.
func metricName(ref *pb.ScaledObjectRef) string {
	name := ref.GetScalerMetadata()[trigger.Workload]
	if name == "" {
		name = ref.GetScalerMetadata()[trigger.WorkloadFromEnv]
	}
	if name == "" {
		name = ref.GetName()
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '-', r == '.':
			return r
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, name)
	if len(name) > maxMetricName {
		name = name[:maxMetricName]
	}
	name = strings.TrimRight("headroom-"+name, "-.")
	if ref.GetScalerMetadata()[trigger.MetricKey] == string(trigger.Ceiling) {
		name += "-ceiling"
	}
	return name
}

// encode returns a value as KEDA's two fields. KEDA takes the float if it is above
// 0 and the integer otherwise, so that both are 0 for 0; a KEDA that knows only
// the integer gets the whole number of replicas that the value stands for.
func encode(value float64) (whole int64, exact float64, err error) {
	if math.IsNaN(value) || value < 0 || value > math.MaxInt32 {
		return 0, 0, fmt.Errorf("the plan's value %v is not a number of replicas; this is a fault in Headroom, please report it", value)
	}
	return int64(math.Ceil(value)), value, nil
}
