package kube

import (
	"strings"
	"sync"
)

// selections are the pods that the labels of workloads select, kept up to date with
// the table of pods: to look for them in each reading would take as long as there
// are pods in the cluster.
type selections struct {
	mu   sync.Mutex
	kept map[selection]map[string]struct{} // keys of pods
}

// selection says which pods are selected: those of a namespace that have all of
// these labels. Without a label it selects none.
type selection struct {
	namespace string
	labels    labelText
}

func selectionOf(namespace string, selector map[string]string) selection {
	return selection{namespace: namespace, labels: labelTextOf(selector)}
}

func (s selection) selects(r *row[pod]) bool {
	if s.labels == "" || r.namespace.Value() != s.namespace {
		return false
	}
	for part := range strings.SplitSeq(string(s.labels), ",") {
		name, wanted, _ := strings.Cut(part, "=")
		if value, ok := r.value.labels.Value().Lookup(name); !ok || value != wanted {
			return false
		}
	}
	return true
}

// keep makes these the selections that are kept up to date, and forgets others.
// One that is new is looked for among all pods, once.
func (s *selections) keep(wanted []selection, all func() []*row[pod]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := make(map[selection]map[string]struct{}, len(wanted))
	var missing []selection
	for _, w := range wanted {
		if _, twice := kept[w]; twice {
			continue
		}
		kept[w] = s.kept[w]
		if kept[w] == nil {
			kept[w] = map[string]struct{}{}
			missing = append(missing, w)
		}
	}
	if len(missing) > 0 {
		for _, r := range all() {
			for _, w := range missing {
				if w.selects(r) {
					kept[w][r.key()] = struct{}{}
				}
			}
		}
	}
	s.kept = kept
}

// changed notes that a pod came, went or became another, and reports whether it is
// or was selected. Either of both may be nil.
func (s *selections) changed(before, after *row[pod]) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	concerned := false
	for w, keys := range s.kept {
		if before != nil && w.selects(before) {
			delete(keys, before.key())
			concerned = true
		}
		if after != nil && w.selects(after) {
			keys[after.key()] = struct{}{}
			concerned = true
		}
	}
	return concerned
}

// of returns the keys of the pods of a selection, in no order. One that isn't kept is
// looked for among all.
func (s *selections) of(w selection, all func() []*row[pod]) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.kept[w]
	keys := make([]string, 0, len(kept))
	for key := range kept {
		keys = append(keys, key)
	}
	if ok {
		return keys
	}
	for _, r := range all() {
		if w.selects(r) {
			keys = append(keys, r.key())
		}
	}
	return keys
}
