package secret

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Read returns the key's present value, white space around it dropped. It waits
// for the first answer of the API server until ctx ends; while the API server is
// away later, the last known value stays. Its error says what to do, and holds
// nothing of the content.
func (v *Value) Read(ctx context.Context) (string, error) {
	select {
	case <-v.watched.synced:
	case <-v.secrets.alive.Done():
		return "", errors.New("secrets are not watched any more")
	case <-ctx.Done():
	case <-v.watched.refused: // waiting longer helps nobody
	}
	if err := v.watched.problem(); err != nil {
		return "", v.explain(err)
	}
	data, there := v.watched.data()
	switch value, ok := data[v.key]; {
	case !v.watched.read():
		return "", errors.New("the Kubernetes API server has not answered yet")
	case !there:
		return "", fmt.Errorf("it does not exist: expected a Secret %q in namespace %q with a key %q", v.id.Name, v.id.Namespace, v.key)
	case !ok:
		return "", fmt.Errorf("it has no such key: expected %q, found %s", v.key, keys(data))
	case strings.TrimSpace(string(value)) == "":
		return "", errors.New("it is empty")
	default:
		return strings.TrimSpace(string(value)), nil
	}
}

// explain says what to do about an error of the API server.
func (v *Value) explain(err error) error {
	if apierrors.IsForbidden(err) {
		return fmt.Errorf("%s may not read it: expected a Role in namespace %q with apiGroups [\"\"], resources [secrets], resourceNames [%s] and verbs [get, list, watch], and a RoleBinding to it there",
			v.secrets.options.Reader, v.id.Namespace, v.id.Name)
	}
	return fmt.Errorf("the Kubernetes API server does not give it: %w", err)
}

// keys names the keys that there are.
func keys(data map[string][]byte) string {
	if len(data) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(data)), ", ")
}
