package kube

import (
	"strings"

	"k8s.io/apimachinery/pkg/labels"
)

// labelText is a set of labels as one text, "app=orders,tier=back", sorted by name.
// Neither names nor values have a comma or an equals sign in them. Most pods have
// their labels from a template, so that one text stands for many.
type labelText string

func labelTextOf(set map[string]string) labelText { return labelText(labels.Set(set).String()) }

var _ labels.Labels = labelText("")

// Lookup returns the value of a label.
func (t labelText) Lookup(name string) (string, bool) {
	for part := range strings.SplitSeq(string(t), ",") {
		if found, value, ok := strings.Cut(part, "="); ok && found == name {
			return value, true
		}
	}
	return "", false
}

// Has reports whether there is a label.
func (t labelText) Has(name string) bool {
	_, ok := t.Lookup(name)
	return ok
}

// Get returns the value of a label, "" where there is none.
func (t labelText) Get(name string) string {
	value, _ := t.Lookup(name)
	return value
}
