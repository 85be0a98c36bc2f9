package metrics

import (
	"fmt"
	"strings"
)

// ID names a workload or a database the way Kubernetes names an object. Its
// text form is "namespace/name". The zero ID names nothing.
type ID struct {
	Namespace string
	Name      string
}

// String returns "namespace/name".
func (id ID) String() string { return id.Namespace + "/" + id.Name }

// Less orders IDs by namespace, then by name.
func (id ID) Less(other ID) bool {
	if id.Namespace != other.Namespace {
		return id.Namespace < other.Namespace
	}
	return id.Name < other.Name
}

// Compare orders IDs as Less does, for slices.SortFunc.
func (id ID) Compare(other ID) int {
	if c := strings.Compare(id.Namespace, other.Namespace); c != 0 {
		return c
	}
	return strings.Compare(id.Name, other.Name)
}

// ParseID reads "namespace/name".
func ParseID(text string) (ID, error) {
	namespace, name, ok := strings.Cut(text, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return ID{}, fmt.Errorf("expected NAMESPACE/NAME, found %q", text)
	}
	return ID{Namespace: namespace, Name: name}, nil
}

// MarshalText writes "namespace/name", so that an ID can be a key in JSON.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := ParseID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}
