package policy

import (
	"cmp"
	"strings"
	"time"
)

// Source says where documents come from. The zero Source is a nameless input:
// its documents name themselves, or live in the namespace "default".
type Source struct {
	// Namespace and Name are those of the Kubernetes object that carries the
	// documents; "" where there is none.
	Namespace string
	Name      string
	// CreatedAt is when that object was created: of two documents that claim the
	// same thing the oldest wins. The zero time, as of a file, is older than any.
	CreatedAt time.Time
	// Where names the input to a person: a file's name, or a ConfigMap and its
	// key. It begins every [Problem].
	Where string
}

// docCompare orders documents from the oldest to the newest; where age does not
// decide, by name, then by where they stand.
func docCompare(a, b Document) int {
	return cmp.Or(
		a.Source.CreatedAt.Compare(b.Source.CreatedAt),
		strings.Compare(a.Source.Namespace, b.Source.Namespace),
		strings.Compare(a.Source.Name, b.Source.Name),
		strings.Compare(a.Source.Where, b.Source.Where),
		cmp.Compare(a.line, b.line),
		cmp.Compare(a.column, b.column),
	)
}
