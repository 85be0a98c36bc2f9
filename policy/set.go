package policy

import (
	"time"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
)

// Set is every policy in force, parsed, checked and with defaults filled in: a
// Set that came out of [Resolve] can't be wrong. The zero Set governs nothing.
type Set struct {
	Databases []Database `json:"databases"` // by ID
	Workloads []Workload `json:"workloads"` // by ID
}

// Database returns the policy of the database id in this set.
func (s Set) Database(id metrics.ID) (Database, bool) {
	return Group{Databases: s.Databases}.Database(id)
}

// Database is the policy of one database.
type Database struct {
	ID metrics.ID `json:"id"`
	// PostgreSQL says how to reach the server. Exactly one engine is set.
	PostgreSQL *PostgreSQL `json:"postgresql,omitempty"`
	// Reserve is always left free, in connections or in percent of each limit.
	Reserve intorpercent.Value `json:"reserve"`
	// OthersWindow is how far back others' high water looks. More than 0.
	OthersWindow time.Duration `json:"othersWindow"`
	// PollInterval is how often the server is read; a reading older than
	// MaxReadingAge is unknown. Both more than 0.
	PollInterval  time.Duration `json:"pollInterval"`
	MaxReadingAge time.Duration `json:"maxReadingAge"`
	// AllowedNamespaces may use the database besides its own namespace; "*" is
	// any.
	AllowedNamespaces []string `json:"allowedNamespaces,omitempty"`
	// MaxPriority is the highest priority that a workload can have here.
	MaxPriority int `json:"maxPriority"`
}

// PostgreSQL says how to reach a PostgreSQL server.
type PostgreSQL struct {
	DSN DSN `json:"dsn"`
}

// DSN says where a data source name is kept; exactly one field is set. The DSN
// itself never stands in a policy.
type DSN struct {
	File string `json:"file,omitempty"` // path of a file that holds it
	Env  string `json:"env,omitempty"`  // name of an environment variable that holds it
	// Secret is a key of a Kubernetes Secret in the database's own namespace.
	Secret *SecretKey `json:"secret,omitempty"`
}

// SecretKey names a key of a Secret. Both fields are set.
type SecretKey struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

// Mode is how far Headroom goes with a workload.
type Mode string

// The modes, from least to most.
const (
	Observe Mode = "Observe" // decides and reports, changes nothing
	Target  Mode = "Target"  // tells KEDA a safe number of replicas
	Gate    Mode = "Gate"    // and admits every pod by its scheduling gate
)

// Workload is the policy of one fleet of workers.
type Workload struct {
	ID   metrics.ID `json:"id"`
	Mode Mode       `json:"mode"`
	// ScaledObject is the name of the KEDA ScaledObject, in the workload's
	// namespace; "" where none is given.
	ScaledObject string `json:"scaledObject,omitempty"`
	// ScaledJob is the name of the KEDA ScaledJob, in the workload's namespace;
	// "" where there is none. At most one of ScaledObject and ScaledJob is set.
	ScaledJob string `json:"scaledJob,omitempty"`
	// ScaleTarget is what has the pods where nothing of KEDA's is named. At most
	// one of ScaledObject, ScaledJob, ScaleTarget and PodSelector is set.
	ScaleTarget *ScaleTarget `json:"scaleTarget,omitempty"`
	// PodSelector are the labels of the pods where nothing scales them together;
	// each pod stands for itself.
	PodSelector map[string]string `json:"podSelector,omitempty"`
	// Stopped freezes the workload at what it holds until it is resumed.
	Stopped bool `json:"stopped,omitempty"`
	// Databases are what each pod connects to, ordered by ID; at least one,
	// unless Refusal says why there is none.
	Databases []Use `json:"databases"`
	// Refusal says why the workload may not scale out whatever is free; nil where
	// it may.
	Refusal *Refusal `json:"refusal,omitempty"`
	// SQS is the queue that asks for replicas. Without one ([Workload.Queue]) the
	// pods that there are ask for themselves.
	SQS *SQS `json:"sqs,omitempty"`
	// MinReplicas is a guaranteed share of the budget; MinReplicas and
	// MaxReplicas narrow the ScaledObject's own bounds. A nil MaxReplicas
	// narrows nothing.
	MinReplicas int  `json:"minReplicas"`
	MaxReplicas *int `json:"maxReplicas,omitempty"`
	// Priority: higher goes first once everybody has a first pod.
	Priority int `json:"priority"`
	// ScaleDownStabilization is how long the highest demand is remembered
	// before a fall is followed. 0 follows at once.
	ScaleDownStabilization time.Duration `json:"scaleDownStabilization"`
	Shedding               Shedding      `json:"shedding"`
	// ReadyTimeout is how long an admitted pod may take to become ready while
	// others wait for its connections. More than 0.
	ReadyTimeout time.Duration `json:"readyTimeout"`
}

// Refusal is a fault of a policy that another document causes: a database that
// is not there (PolicyInvalid), or one that does not admit the workload
// (Unauthorized). The workload is frozen at what it holds, not forgotten.
type Refusal struct {
	Reason   Reason `json:"reason"`
	Sentence string `json:"sentence"`
}

// Use is one workload's use of one database.
type Use struct {
	Database metrics.ID `json:"database"`
	// User is the role that the pods log in as.
	User string `json:"user"`
	// DatabaseName is the database on the server that they connect to; "" is
	// the one in the monitor's own DSN.
	DatabaseName string `json:"databaseName,omitempty"`
	// ApplicationName is a prefix that tells this workload's sessions from
	// those of others with the same user; "" takes all of the user's.
	ApplicationName string `json:"applicationName,omitempty"`
	// ConnectionsPerPod is the most that one pod opens: the size of its pool.
	// 1 or more.
	ConnectionsPerPod int `json:"connectionsPerPod"`
}

// SQS is a queue in Amazon SQS; exactly one of QueueURL and QueueName is set.
type SQS struct {
	QueueURL  string `json:"queueURL,omitempty"`
	QueueName string `json:"queueName,omitempty"`
	Region    string `json:"region,omitempty"`   // "" is the URL's, else the environment's
	Endpoint  string `json:"endpoint,omitempty"` // "" is Amazon's
	// MessagesPerPod is how many messages justify one more pod. 1 or more.
	MessagesPerPod int64 `json:"messagesPerPod"`
	// MaxMessageAge is how old a message may become before its work is done: the
	// objective. 0 is none, and demand is by messages per pod alone.
	MaxMessageAge time.Duration `json:"maxMessageAge,omitempty"`
	// SecondsPerMessage is how long one pod works on one message, 0 where that is to
	// be measured; Concurrency is how many it works on at once, 0 like 1.
	SecondsPerMessage float64 `json:"secondsPerMessage,omitempty"`
	Concurrency       int     `json:"concurrency,omitempty"`
	// IncludeDelayed counts messages that become visible later as backlog.
	IncludeDelayed bool `json:"includeDelayed,omitempty"`
	// PollInterval is how often the queue is read. A reading older than
	// StaleAfter no longer speaks for the queue: replicas are held. One older
	// than ErrorAfter makes KEDA's own fallback apply.
	PollInterval time.Duration `json:"pollInterval"`
	// IdlePollInterval is how often it is read once it was empty for a minute and
	// its workloads have no replicas. Less than PollInterval, 0 too, is PollInterval.
	IdlePollInterval time.Duration `json:"idlePollInterval,omitempty"`
	StaleAfter       time.Duration `json:"staleAfter"`
	ErrorAfter       time.Duration `json:"errorAfter"`
}

// AsksCloudWatch reports whether the policy needs what CloudWatch knows of the queue.
func (s SQS) AsksCloudWatch() bool { return s.MaxMessageAge > 0 }

// Shedding gives up running pods when the budget falls below what they hold.
// The zero value never does.
type Shedding struct {
	Enabled bool `json:"enabled"`
	// MinReplicas are never shed. 0 or more.
	MinReplicas int `json:"minReplicas"`
	// IgnoreDisruptionBudgets sheds pods that a PodDisruptionBudget would keep.
	IgnoreDisruptionBudgets bool `json:"ignoreDisruptionBudgets,omitempty"`
}

// ScaleTarget names an object with a scale subresource, in the workload's
// namespace. All fields are set.
type ScaleTarget struct {
	APIVersion string `json:"apiVersion"` // "apps/v1"
	Kind       string `json:"kind"`
	Name       string `json:"name"`
}

// Queue reports whether a queue asks for the workload's replicas.
func (w Workload) Queue() bool { return w.SQS != nil }
