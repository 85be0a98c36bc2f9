package described

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/keda-headroom/headroom/internal/inventory"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/policyconfigmap"
)

// Workload is one that a policy in a ConfigMap describes.
type Workload struct {
	policy.Workload
	ConfigMap *corev1.ConfigMap
	// Beside are all workloads of the ConfigMap, this one among them, by ID.
	Beside []metrics.ID
}

// IDs reads arguments that are NAME or NAMESPACE/NAME; namespace is that of a bare
// NAME. It tells all that are wrong, and returns each once, in the order given.
func IDs(arguments []string, namespace string) ([]metrics.ID, error) {
	var ids []metrics.ID
	var wrong []error
	for _, argument := range arguments {
		text := argument
		if !strings.Contains(text, "/") {
			text = namespace + "/" + text
		}
		id, err := metrics.ParseID(text)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("WORKLOAD: expected NAME or NAMESPACE/NAME, found %q in namespace %q", argument, namespace))
			continue
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, errors.Join(wrong...)
}

// Read looks into the namespaces of ids for the policies that describe them, and
// returns them in the order of ids. It tells all that are not described.
func Read(ctx context.Context, config *rest.Config, ids []metrics.ID) ([]Workload, error) {
	var namespaces []string
	for _, id := range ids {
		namespaces = append(namespaces, id.Namespace)
	}
	slices.Sort(namespaces)
	all := map[string]*namespace{}
	for _, name := range slices.Compact(namespaces) {
		in, err := inventory.Read(ctx, config, name, inventory.Policies)
		if err != nil {
			return nil, err
		}
		all[name] = parse(name, in.Policies)
	}
	var out []Workload
	var missing []error
	for _, id := range ids {
		w, err := all[id.Namespace].workload(id)
		if err != nil {
			missing = append(missing, err)
			continue
		}
		out = append(out, w)
	}
	return out, errors.Join(missing...)
}

// namespace is what the policies of one describe.
type namespace struct {
	name    string
	maps    []configMap // oldest first
	inForce policy.Set
}

type configMap struct {
	*corev1.ConfigMap
	own    policy.Set // by itself
	broken bool
}

// ids are all workloads that it describes.
func (c configMap) ids() (out []metrics.ID) {
	for _, w := range c.own.Workloads {
		out = append(out, w.ID)
	}
	return out
}

// parse reads policies as the server does: of two that claim one workload the
// oldest is in force.
func parse(name string, maps []corev1.ConfigMap) *namespace {
	n := &namespace{name: name}
	var all []policy.Document
	for i := range maps {
		documents, problems := policyconfigmap.Documents(&maps[i])
		own, _ := policy.Resolve(documents)
		n.maps = append(n.maps, configMap{&maps[i], own, policy.HasErrors(problems)})
		all = append(all, documents...)
	}
	slices.SortStableFunc(n.maps, func(a, b configMap) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	n.inForce, _ = policy.Resolve(all)
	return n
}

func (n *namespace) workload(id metrics.ID) (Workload, error) {
	is := func(w policy.Workload) bool { return w.ID == id }
	var known []string
	var broken []string
	for _, m := range n.maps {
		if m.broken {
			broken = append(broken, m.Name)
		}
		for _, id := range m.ids() {
			known = append(known, id.Name)
		}
		if !slices.ContainsFunc(m.own.Workloads, is) {
			continue
		}
		if i := slices.IndexFunc(n.inForce.Workloads, is); i >= 0 {
			return Workload{n.inForce.Workloads[i], m.ConfigMap, m.ids()}, nil
		}
		return Workload{}, fmt.Errorf("workload %s: ConfigMap %s describes it and is not in force, because an older policy claims something else that it describes (headroom lint says what)", id, m.Name)
	}
	found := "no policy in that namespace describes any"
	if len(known) > 0 {
		slices.Sort(known)
		found = "described there are " + strings.Join(slices.Compact(known), ", ")
	}
	if len(broken) > 0 {
		found += "; errors keep others from being read in ConfigMap " + strings.Join(broken, ", ") + " (headroom lint says which)"
	}
	return Workload{}, fmt.Errorf("workload %s: expected a policy in a ConfigMap of namespace %s with the label %s=true that describes it; %s",
		id, n.name, policyconfigmap.Label, found)
}
