package policy

import (
	"time"

	"github.com/keda-headroom/headroom/internal/intorpercent"
)

// APIVersion and Kind head every policy document.
const (
	APIVersion = "keda-headroom.github.io/v1alpha1"
	Kind       = "Policy"
)

// Document is one policy document that is right by itself: every field was
// known and inside its bounds, and defaults are filled in. Whether it agrees
// with other documents is for [Resolve] to say. Documents come from [Parse];
// the zero Document holds nothing.
type Document struct {
	// Source is where it came from, with the namespace and name that the
	// document itself gave where the caller gave none.
	Source Source

	line, column int
	policy       docPolicy
	places       docPlaces
}

// docPolicy is a policy as its author writes it. Its tags are the only place
// that says what may stand in a document: decoding, the JSON Schema and the
// reference in docs/policy.md are all derived from them.
//
//	field:"key[,required][,one=CHOICE]"  exactly one field of a CHOICE is given
//	text:"NAME"                          a text that obeys the rule docTexts[NAME]
//	between:"LEAST,MOST"                 bounds of a number, a duration or a count; of a
//	                                     number that need not be whole in thousandths at most
//	percent:"MOST"                       the most that a percentage may be
//	items:"LEAST,MOST"                   how many items a list or a map may have
//	keys:"NAME"                          the keys of a map obey the rule docTexts[NAME]
//	secret:"SENTENCE"                    never shown; SENTENCE says what to do instead
//
// The comment above a field is its description in the schema and the reference.
type docPolicy struct {
	// Version of the document's format.
	APIVersion string `field:"apiVersion,required" text:"apiVersion"`
	// Always Policy.
	Kind string `field:"kind,required" text:"kind"`
	// Name and namespace of the policy. In Kubernetes those of the ConfigMap are used, and metadata may be left out; where both are given they must agree.
	Metadata docMetadata `field:"metadata"`
	// Databases that workloads share, each described by whoever owns it.
	Databases []docDatabase `field:"databases" items:"0,1000"`
	// Fleets of workers: one for each ScaledObject or ScaledJob, or whatever else has pods.
	Workloads []docWorkload `field:"workloads" items:"0,1000"`
}

type docMetadata struct {
	// Namespace of everything in the document: of its databases, its workloads and their ScaledObjects. `default` where neither the document nor Kubernetes gives one.
	Namespace string `field:"namespace" text:"namespace"`
	// Name of the policy, for people and for telling which of two policies of one age comes first.
	Name string `field:"name" text:"name"`
}

type docDatabase struct {
	// Name by which workloads refer to the database; one of its own in the namespace.
	Name string `field:"name,required" text:"name"`
	// The server is PostgreSQL, or speaks its protocol and has its catalogs.
	PostgreSQL *docPostgreSQL `field:"postgresql,one=engine"`
	// Connections that are always left free, on the server's limit and on a database's, not on a role's, which is the workers' own: a count, or a percentage of the limit, rounded up.
	Reserve intorpercent.Value `field:"reserve" between:"0,1000000" percent:"90"`
	// How far back the most connections that others held are remembered and kept free. At least pollInterval.
	OthersWindow time.Duration `field:"othersWindow" between:"1s,24h"`
	// How often the server is read.
	PollInterval time.Duration `field:"pollInterval" between:"100ms,1m"`
	// A reading older than this is unknown, and then nobody scales out. At least 2 × pollInterval.
	MaxReadingAge time.Duration `field:"maxReadingAge" between:"200ms,10m"`
	// Namespaces whose workloads may use the database besides its own, which always may; `"*"` is any.
	AllowedNamespaces []string `field:"allowedNamespaces" text:"allowedNamespace" items:"0,1000"`
	// Highest priority that a workload may have on this database.
	MaxPriority int `field:"maxPriority" between:"0,1000000"`
}

type docPostgreSQL struct {
	// Where the data source name (DSN) of the monitoring login is kept.
	DSN docDSN `field:"dsn,required" secret:"the data source name never stands in a policy: keep it in a Secret, a file or an environment variable, and name that here with secretKeyRef, file or env"`
}

type docDSN struct {
	// Absolute path of a file that holds the data source name.
	File string `field:"file,one=place" text:"file"`
	// Name of an environment variable of Headroom that holds the data source name.
	Env string `field:"env,one=place" text:"env"`
	// Key of a Kubernetes Secret, in the policy's namespace, that holds the data source name.
	SecretKeyRef *docSecretKeyRef `field:"secretKeyRef,one=place"`
}

type docSecretKeyRef struct {
	// Name of the Secret.
	Name string `field:"name,required" text:"name"`
	// Key in the Secret's data.
	Key string `field:"key,required" text:"secretKey"`
}

type docWorkload struct {
	// Name of the workload, which KEDA's trigger names too (metadata `workload`); one of its own in the namespace.
	Name string `field:"name,required" text:"name"`
	// KEDA ScaledObject that scales the workload. At most one of the four refs and selectors is given; without any it is the ScaledObject that has the workload's name.
	ScaledObjectRef *docScaledObjectRef `field:"scaledObjectRef"`
	// KEDA ScaledJob that creates the workload's Jobs, in place of a ScaledObject.
	ScaledJobRef *docScaledJobRef `field:"scaledJobRef"`
	// What has the pods, where KEDA doesn't scale it: any object with a scale subresource, in the policy's namespace.
	ScaleTargetRef *docScaleTargetRef `field:"scaleTargetRef"`
	// Which pods of the policy's namespace are the workload, where nothing scales them together. Each stands for itself. Modes Observe and Gate only.
	PodSelector *docPodSelector `field:"podSelector"`
	// How far Headroom goes: Observe decides and reports but changes nothing, Target tells KEDA a safe number of replicas, Gate also admits every pod by its scheduling gate.
	Mode string `field:"mode" text:"mode"`
	// What each pod connects to. A database may stand here once.
	DatabaseRefs []docDatabaseRef `field:"databaseRefs,required" items:"1,100"`
	// Amazon SQS queue that the pods work on. Without one the pods that there are ask for themselves.
	SQS *docSQS `field:"sqs"`
	// Guaranteed share of the budget, in replicas; narrows the ScaledObject's own bound, where there is one. When the budget carries fewer, the budget wins.
	MinReplicas int `field:"minReplicas" between:"0,100000"`
	// Most replicas; narrows the ScaledObject's own bound, where there is one. At least minReplicas.
	MaxReplicas *int `field:"maxReplicas" between:"1,100000"`
	// Who goes first once every workload with demand has its first pod: higher before lower. At most the databases' maxPriority.
	Priority int `field:"priority" between:"0,1000000"`
	// Giving up running pods when the budget falls below what they hold; in mode Gate only.
	Shedding docShedding `field:"shedding"`
	// How long an admitted pod may take to become ready while others wait for its connections.
	ReadyTimeout time.Duration `field:"readyTimeout" between:"1s,24h"`
	// How long the highest demand is remembered before a fall is followed; 0s follows at once.
	ScaleDownStabilization time.Duration `field:"scaleDownStabilization" between:"0s,1h"`
}

type docScaledObjectRef struct {
	// Name of the ScaledObject, in the policy's namespace.
	Name string `field:"name,required" text:"name"`
}

type docScaledJobRef struct {
	// Name of the ScaledJob, in the policy's namespace.
	Name string `field:"name,required" text:"name"`
}

type docScaleTargetRef struct {
	// Group and version of the object's kind.
	APIVersion string `field:"apiVersion,required" text:"groupVersion"`
	// Kind of the object, such as Deployment, StatefulSet or Rollout.
	Kind string `field:"kind,required" text:"objectKind"`
	// Name of the object.
	Name string `field:"name,required" text:"name"`
}

type docPodSelector struct {
	// Labels that a pod has all of.
	MatchLabels map[string]string `field:"matchLabels,required" keys:"labelName" text:"labelValue" items:"1,20"`
}

type docDatabaseRef struct {
	// Name of the database in its owner's policy.
	Name string `field:"name,required" text:"name"`
	// Namespace of the database's policy.
	Namespace string `field:"namespace" text:"namespace"`
	// Role that the pods log in as.
	User string `field:"user,required" text:"identifier"`
	// Database on the server that the pods connect to; left out, the one that the monitoring login is connected to.
	Database string `field:"database" text:"identifier"`
	// Beginning of the application_name of the pods' sessions, which tells them from other sessions of the same user; left out, all sessions of the user are the workload's.
	ApplicationName string `field:"applicationName" text:"applicationName"`
	// Most connections that one pod opens to this database: the size of its pool, and of all pools where it has several.
	ConnectionsPerPod int `field:"connectionsPerPod,required" between:"1,1000000"`
}

type docSQS struct {
	// URL of the queue.
	QueueURL string `field:"queueURL,one=queue" text:"queueURL"`
	// Name of the queue, in the account of Headroom's credentials.
	QueueName string `field:"queueName,one=queue" text:"queueName"`
	// AWS region; left out, the one in queueURL, else the one of Headroom's environment.
	Region string `field:"region" text:"region"`
	// URL of the SQS service, for something that stands in for Amazon's.
	Endpoint string `field:"endpoint" text:"endpoint"`
	// How many messages justify one more pod.
	MessagesPerPod int64 `field:"messagesPerPod,required" between:"1,1000000000000"`
	// How old a message may become before its work is done. With it demand follows the age of messages, and messagesPerPod speaks only while that can't be told; what CloudWatch knows of the queue is read, which Amazon charges for.
	MaxMessageAge time.Duration `field:"maxMessageAge" between:"10s,336h"`
	// How many seconds one pod works on one message; left out, that is measured. For maxMessageAge.
	SecondsPerMessage float64 `field:"secondsPerMessage" between:"0.001,86400"`
	// How many messages one pod works on at once. For maxMessageAge.
	Concurrency int `field:"concurrency" between:"1,1000000"`
	// Count delayed messages, which become visible later, as backlog.
	IncludeDelayed bool `field:"includeDelayed"`
	// How often the queue is read.
	PollInterval time.Duration `field:"pollInterval" between:"100ms,10m"`
	// How often the queue is read once it was empty for a minute and there are no replicas. At least pollInterval.
	IdlePollInterval time.Duration `field:"idlePollInterval" between:"100ms,10m"`
	// A reading older than this no longer speaks for the queue: replicas are held. At least 2 × pollInterval, and 2 × idlePollInterval.
	StaleAfter time.Duration `field:"staleAfter" between:"1s,1h"`
	// With no reading for this long KEDA is answered with an error, so that the ScaledObject's own fallback applies. At least staleAfter.
	ErrorAfter time.Duration `field:"errorAfter" between:"1s,24h"`
}

type docShedding struct {
	// Whether running pods may be given up.
	Enabled bool `field:"enabled"`
	// Pods that are never given up.
	MinReplicas int `field:"minReplicas" between:"0,100000"`
	// Delete a pod where a PodDisruptionBudget refuses its eviction.
	IgnoreDisruptionBudgets bool `field:"ignoreDisruptionBudgets"`
}
