package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/keda-headroom/headroom/internal/described"
	"github.com/keda-headroom/headroom/internal/output"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/kube"
)

// ErrFailed is returned where some pod still has the gate. The report has been
// written; it has nothing to add.
var ErrFailed = errors.New("")

// pageSize is how many objects one answer has at most.
const pageSize = 500

// Run releases the pods and writes what became of each.
func Run(ctx context.Context, o Options) error {
	namespace, err := o.Cluster.Where()
	if err != nil {
		return err
	}
	config, err := o.Cluster.Config()
	if err != nil {
		return err
	}
	config.UserAgent = "headroom-release/" + o.Program
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("find a cluster: %w", err)
	}
	var found []gatedPod
	if o.All {
		found, err = gated(ctx, client, namespace)
	} else {
		found, err = ofWorkloads(ctx, client, config, o.Workloads, namespace)
	}
	if err != nil {
		return err
	}
	report := Report{DryRun: o.DryRun, Pods: []Pod{}, Notes: []string{}}
	for _, p := range found {
		one := Pod{ID: metrics.ID{Namespace: p.Namespace, Name: p.Name}, Workload: p.workload, OtherGates: others(p.Pod), Outcome: WouldBe}
		if !o.DryRun {
			one.Outcome, err = open(ctx, client, p.Pod)
			if err != nil {
				one.Problem = err.Error()
			}
		}
		report.Pods = append(report.Pods, one)
	}
	report.note()
	if err := output.Write(o.Out, o.Output, report, func() string { return table(report) }); err != nil {
		return err
	}
	if report.count(Failed) > 0 {
		return ErrFailed
	}
	return nil
}

// gatedPod is a pod with our gate, and whose it is, if that is known.
type gatedPod struct {
	*corev1.Pod
	workload metrics.ID
}

// place returns where our gate is among a pod's, -1 where it is not.
func place(p *corev1.Pod) int {
	return slices.IndexFunc(p.Spec.SchedulingGates, func(g corev1.PodSchedulingGate) bool { return g.Name == kube.Gate })
}

// others are the gates of a pod that aren't ours.
func others(p *corev1.Pod) (names []string) {
	for _, g := range p.Spec.SchedulingGates {
		if g.Name != kube.Gate {
			names = append(names, g.Name)
		}
	}
	return names
}

// gated lists the pods with our gate in one namespace, or in all where it is "",
// oldest first. Those that are ending are left to end.
func gated(ctx context.Context, client kubernetes.Interface, namespace string) ([]gatedPod, error) {
	// A gated pod is on no node and Pending: the API server can tell so much.
	options := metav1.ListOptions{Limit: pageSize, FieldSelector: "spec.nodeName="}
	var out []gatedPod
	for {
		page, err := client.CoreV1().Pods(namespace).List(ctx, options)
		if apierrors.IsForbidden(err) {
			return nil, fmt.Errorf("expected permission to list pods%s: %w", where(namespace), err)
		}
		if err != nil {
			return nil, fmt.Errorf("list pods%s: %w", where(namespace), err)
		}
		for i := range page.Items {
			if p := &page.Items[i]; place(p) >= 0 && p.DeletionTimestamp == nil {
				out = append(out, gatedPod{Pod: p})
			}
		}
		if options.Continue = page.Continue; options.Continue == "" {
			break
		}
	}
	slices.SortFunc(out, func(a, b gatedPod) int {
		if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return out, nil
}

func where(namespace string) string {
	if namespace == "" {
		return " in all namespaces"
	}
	return " in namespace " + namespace
}

// ofWorkloads lists the gated pods of workloads, found as their policies say.
func ofWorkloads(ctx context.Context, client kubernetes.Interface, config *rest.Config, arguments []string, namespace string) ([]gatedPod, error) {
	ids, err := described.IDs(arguments, namespace)
	if err != nil {
		return nil, err
	}
	workloads, err := described.Read(ctx, config, ids)
	if err != nil {
		return nil, fmt.Errorf("%w\nrelease --all needs no policy", err)
	}
	pods, owned := map[string][]gatedPod{}, map[string]*owners{}
	var out []gatedPod
	for _, w := range workloads {
		in := w.ID.Namespace
		if owned[in] == nil {
			owned[in] = &owners{namespace: in, config: config}
			if pods[in], err = gated(ctx, client, in); err != nil {
				return nil, err
			}
		}
		belongs, err := owned[in].belongs(ctx, w)
		if err != nil {
			return nil, err
		}
		for _, p := range pods[in] {
			is, err := belongs(p.Pod)
			if err != nil {
				return nil, err
			}
			if is && !slices.ContainsFunc(out, func(other gatedPod) bool { return other.UID == p.UID }) {
				p.workload = w.ID
				out = append(out, p)
			}
		}
	}
	return out, nil
}
