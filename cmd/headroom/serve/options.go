package serve

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"k8s.io/client-go/rest"

	"github.com/keda-headroom/headroom/internal/kubeflags"
	"github.com/keda-headroom/headroom/metrics/fleet"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/leader"
	"github.com/keda-headroom/headroom/scaler/recording"
)

// minConnectionAge is the least that a connection may be used: with less, clients
// would do little else than connect.
const minConnectionAge = time.Second

// Options of [Run]. Begin with [Defaults], which are those in a cluster.
type Options struct {
	// Policies are files, and directories whose YAML and JSON files are policies,
	// beside those in ConfigMaps where Kubernetes is used.
	Policies []string
	// Fleets is a file or an http(s) URL that holds the workloads' replicas and
	// pods, see package fleet; it takes Policies. "" is Kubernetes: Cluster says
	// how it is reached, and KubeConfig is used instead where it is not nil.
	Fleets     string
	Cluster    kubeflags.Flags
	KubeConfig *rest.Config
	// LeaderElect has one of several services lead, by a Lease in their own
	// namespace. Without it this one leads at once: two would each promise what the
	// other did. It is not looked at where Fleets isn't "".
	LeaderElect bool
	// LeaseDuration, RenewDeadline and RetryPeriod are the leader election's.
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration
	// PodName is the pod that this process runs in; "" is POD_NAME's, else the
	// machine's name.
	PodName string
	// Epoch is the term that plans are made in where Fleets isn't ""; "" is a new
	// one. Nothing acts on such plans.
	Epoch string
	// FleetInterval is how often Fleets is read, 0 for a second.
	FleetInterval time.Duration
	// SessionAge is the age at which the session that reads a database is
	// replaced, so that a name that leads elsewhere by now is noticed though the
	// server it led to still runs; 0 for 30 s, below 0 for never.
	SessionAge time.Duration
	// GRPCAddress and HTTPAddress are where to listen; port 0 takes a free one.
	GRPCAddress, HTTPAddress string
	// TLSCertFile and TLSKeyFile hold the certificate that KEDA is shown and its
	// key, as PEM; "" for both is plain text. Who has no certificate of an
	// authority in TLSClientCAFile is refused; "" lets everybody in. The files are
	// read again every TLSInterval, 0 for 5 s.
	TLSCertFile, TLSKeyFile, TLSClientCAFile string
	TLSInterval                              time.Duration
	// RecordingDir keeps decisions across restarts; "" keeps them in memory.
	// RecordingMaxBytes bounds them; 0 is the recording's own default.
	RecordingDir      string
	RecordingMaxBytes int64
	// MaxConnectionAge is how long KEDA may use a connection; 0 sets no bound.
	MaxConnectionAge time.Duration
	// ShutdownTimeout is how long what is in progress may take to end.
	ShutdownTimeout time.Duration

	// Log gets the log, as lines of LogFormat ("text" or "json") from LogLevel
	// on; nil is standard error.
	Log       io.Writer
	LogLevel  slog.Level
	LogFormat string

	// Ready is told where the service listens, once it does; nil tells nobody.
	Ready func(Addresses)
	// AWS is used instead of the AWS SDK's default configuration.
	AWS *aws.Config
}

// Addresses are where the service listens, as HOST:PORT.
type Addresses struct{ GRPC, HTTP string }

// Defaults returns the options of a service in a cluster.
func Defaults() Options {
	return Options{
		GRPCAddress:      ":6000",
		HTTPAddress:      ":8080",
		MaxConnectionAge: scaler.DefaultMaxConnectionAge,
		ShutdownTimeout:  20 * time.Second, // of the 30 s that Kubernetes gives
		LogFormat:        "text",
		Cluster:          kubeflags.Flags{RequestTimeout: 10 * time.Second},
		LeaderElect:      true,
		LeaseDuration:    leader.DefaultLeaseDuration,
		RenewDeadline:    leader.DefaultRenewDeadline,
		RetryPeriod:      leader.DefaultRetryPeriod,
	}
}

// serviceAccountNamespace is where a pod finds the namespace that it runs in.
const serviceAccountNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// namespace returns Headroom's own.
func (o Options) namespace() string {
	if o.Cluster.Namespace != "" {
		return o.Cluster.Namespace
	}
	if own := os.Getenv("POD_NAMESPACE"); own != "" {
		return own
	}
	if own, err := os.ReadFile(serviceAccountNamespace); err == nil && len(own) > 0 {
		return strings.TrimSpace(string(own))
	}
	return "headroom"
}

// Validate says what can't be right, whatever the world is like.
func (o Options) Validate() error {
	if len(o.Policies) == 0 && o.Fleets != "" {
		return fmt.Errorf("--policy: expected a file or a directory of policies, found none: with --fleets nothing is read from Kubernetes")
	}
	for _, path := range o.Policies {
		if path == "" {
			return fmt.Errorf("--policy: expected a file or a directory of policies, found an empty name")
		}
	}
	if o.Fleets != "" {
		if _, err := fleet.Open(o.Fleets); err != nil {
			return fmt.Errorf("--fleets: %w", err)
		}
		if o.Cluster.Given() {
			return fmt.Errorf("--fleets: expected none with --kubeconfig, --context or --namespace, found both: fleets are read from one or the other")
		}
	}
	if err := o.Cluster.Validate(); err != nil {
		return err
	}
	if o.Fleets == "" && o.LeaderElect {
		if err := o.candidate().Validate(); err != nil {
			return fmt.Errorf("--leader-elect-…: %w", err)
		}
	}
	for flag, address := range map[string]string{"--grpc-address": o.GRPCAddress, "--http-address": o.HTTPAddress} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("%s: expected HOST:PORT or :PORT, found %q", flag, address)
		}
	}
	switch {
	case (o.TLSCertFile == "") != (o.TLSKeyFile == ""):
		return fmt.Errorf("--tls-cert-file, --tls-key-file: expected both or neither, found %q and %q", o.TLSCertFile, o.TLSKeyFile)
	case o.TLSClientCAFile != "" && o.TLSCertFile == "":
		return fmt.Errorf("--tls-client-ca-file: expected --tls-cert-file and --tls-key-file with it, found neither")
	}
	if o.RecordingMaxBytes < 0 {
		return fmt.Errorf("--recording-max-bytes: expected 0 or more, found %d", o.RecordingMaxBytes)
	}
	if o.MaxConnectionAge != 0 && o.MaxConnectionAge < minConnectionAge {
		return fmt.Errorf("--max-connection-age: expected 0 for never, or %s or more, found %s", minConnectionAge, o.MaxConnectionAge)
	}
	if o.ShutdownTimeout < 0 {
		return fmt.Errorf("--shutdown-timeout: expected 0 or more, found %s", o.ShutdownTimeout)
	}
	if o.LogFormat != "text" && o.LogFormat != "json" {
		return fmt.Errorf("--log-format: expected text or json, found %q", o.LogFormat)
	}
	return nil
}

// logger returns the log that the options ask for.
func (o Options) logger() *slog.Logger {
	out := o.Log
	if out == nil {
		out = os.Stderr
	}
	handler := &slog.HandlerOptions{Level: o.LogLevel}
	if o.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(out, handler))
	}
	return slog.New(slog.NewTextHandler(out, handler))
}

// recordingOptions are those of the recording.
func (o Options) recording(log *slog.Logger, program string) recording.Options {
	return recording.Options{Dir: o.RecordingDir, MaxBytes: o.RecordingMaxBytes, Program: program, Log: log}
}
