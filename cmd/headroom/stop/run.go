package stop

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"

	"github.com/keda-headroom/headroom/internal/described"
	"github.com/keda-headroom/headroom/internal/output"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/scaler/policyconfigmap"
)

// Result is what became of one workload.
type Result struct {
	Workload metrics.ID `json:"workload"`
	// ConfigMap carries its policy, in the same namespace.
	ConfigMap string `json:"configMap"`
	// Stopped is how it is now, Changed whether it was otherwise before.
	Stopped bool `json:"stopped"`
	Changed bool `json:"changed"`
}

// Report is what the commands write.
type Report struct {
	Workloads []Result `json:"workloads"`
}

// Run stops or resumes the workloads, and says what changed. Nothing is changed
// unless every workload is described.
func Run(ctx context.Context, o Options) error {
	namespace, err := o.Cluster.Where()
	if err != nil {
		return err
	}
	ids, err := described.IDs(o.Workloads, namespace)
	if err != nil {
		return err
	}
	config, err := o.Cluster.Config()
	if err != nil {
		return err
	}
	config.UserAgent = "headroom-stop/" + o.Program
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("find a cluster: %w", err)
	}
	workloads, err := described.Read(ctx, config, ids)
	if err != nil {
		return err
	}
	report := Report{Workloads: []Result{}}
	var failed error
	for _, w := range workloads {
		changed, err := write(ctx, client, w, o.Resume)
		if err != nil {
			failed = err // those before it have changed: the report says so
			break
		}
		report.Workloads = append(report.Workloads, Result{Workload: w.ID, ConfigMap: w.ConfigMap.Name, Stopped: !o.Resume, Changed: changed})
	}
	if err := output.Write(o.Out, o.Output, report, func() string { return table(report) }); err != nil {
		return err
	}
	return failed
}

// write changes the annotation of one ConfigMap, and says whether it had to. What
// somebody else writes at the same time stays.
func write(ctx context.Context, client kubernetes.Interface, w described.Workload, resume bool) (changed bool, err error) {
	maps := client.CoreV1().ConfigMaps(w.ConfigMap.Namespace)
	m := w.ConfigMap
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		names, differs := change(policyconfigmap.ParseStopped(m.Annotations[policyconfigmap.StoppedAnnotation]), w.Beside, w.ID.Name, resume)
		if changed = differs; !differs {
			return nil
		}
		patch, err := annotation(m, names)
		if err != nil {
			return err
		}
		written, err := maps.Patch(ctx, m.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "headroom-stop"})
		if err == nil {
			*w.ConfigMap = *written // for others of the same ConfigMap
			return nil
		}
		if apierrors.IsConflict(err) {
			if newer, again := maps.Get(ctx, m.Name, metav1.GetOptions{}); again == nil {
				m = newer
			}
		}
		return err
	})
	if apierrors.IsForbidden(err) {
		return false, fmt.Errorf("workload %s: expected permission to get and patch configmaps in namespace %s: %w", w.ID, w.ConfigMap.Namespace, err)
	}
	if err != nil {
		return false, fmt.Errorf("workload %s: annotate ConfigMap %s/%s: %w", w.ID, w.ConfigMap.Namespace, w.ConfigMap.Name, err)
	}
	return changed, nil
}

// annotation is a patch that holds only for the version of the ConfigMap that was
// read.
func annotation(m *corev1.ConfigMap, names []string) ([]byte, error) {
	var value any
	if text := policyconfigmap.FormatStopped(names); text != "" {
		value = text
	}
	return json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": m.ResourceVersion,
		"annotations":     map[string]any{policyconfigmap.StoppedAnnotation: value},
	}})
}

// table says it for a person.
func table(r Report) string {
	var b strings.Builder
	for _, w := range r.Workloads {
		where := fmt.Sprintf("(annotation %s of ConfigMap %s/%s)", policyconfigmap.StoppedAnnotation, w.Workload.Namespace, w.ConfigMap)
		switch {
		case w.Stopped && w.Changed:
			fmt.Fprintf(&b, "%s is stopped: Headroom holds it at what it has until it is resumed %s.\n", w.Workload, where)
		case w.Stopped:
			fmt.Fprintf(&b, "%s was stopped already %s.\n", w.Workload, where)
		case w.Changed:
			fmt.Fprintf(&b, "%s is resumed: Headroom decides for it again %s.\n", w.Workload, where)
		default:
			fmt.Fprintf(&b, "%s was not stopped %s.\n", w.Workload, where)
		}
	}
	return b.String()
}
