package secret

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/keda-headroom/headroom/metrics"
)

var monitor = metrics.ID{Namespace: "platform", Name: "orders-db-monitor"}

func secretOf(id metrics.ID, data map[string]string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: id.Namespace, Name: id.Name}, Data: map[string][]byte{}}
	for key, value := range data {
		s.Data[key] = []byte(value)
	}
	return s
}

func open(t *testing.T, client *fake.Clientset) *Secrets {
	s := New(Options{Client: client, Reader: "ServiceAccount headroom of namespace headroom"})
	t.Cleanup(s.Close)
	return s
}

// becomes waits until a value is read, or an error that contains it.
func becomes(t *testing.T, v *Value, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		found, err := v.Read(ctx)
		if err != nil {
			found = err.Error()
			if strings.Contains(found, "hunter2") {
				t.Fatalf("the content is in an error: %s", found)
			}
		}
		if (err == nil && found == want) || (err != nil && strings.Contains(found, want)) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("expected %q, found %q", want, found)
		case <-again.C:
		}
	}
}

func TestAValueIsFollowed(t *testing.T) {
	other := metrics.ID{Namespace: "platform", Name: "other"}
	client := fake.NewClientset(secretOf(monitor, map[string]string{"dsn": " postgres://hunter2\n", "old": ""}), secretOf(other, map[string]string{"dsn": "hunter2 of another"}))
	s := open(t, client)
	v, twice, absent := s.Key(monitor, "dsn"), s.Key(monitor, "dsn"), s.Key(monitor, "password")
	becomes(t, v, "postgres://hunter2")
	becomes(t, absent, `it has no such key: expected "password", found dsn, old`)
	becomes(t, s.Key(monitor, "old"), "it is empty")
	secrets := client.CoreV1().Secrets(monitor.Namespace)
	if _, err := secrets.Update(t.Context(), secretOf(monitor, map[string]string{"dsn": "rotated"}), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	becomes(t, v, "rotated")
	if err := secrets.Delete(t.Context(), monitor.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	becomes(t, v, `it does not exist: expected a Secret "orders-db-monitor" in namespace "platform" with a key "dsn"`)
	if _, err := secrets.Create(t.Context(), secretOf(monitor, map[string]string{"dsn": "again"}), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	becomes(t, v, "again")
	lists := 0
	for _, a := range client.Actions() {
		if list, ok := a.(clienttesting.ListAction); ok {
			lists++
			if name, _ := list.GetListRestrictions().Fields.RequiresExactMatch("metadata.name"); name != monitor.Name || a.GetNamespace() != monitor.Namespace {
				t.Errorf("expected one Secret alone to be listed, found %+v", a)
			}
		}
	}
	if lists != 1 {
		t.Errorf("expected one list for all of the Secret's keys, found %d", lists)
	}
	for _, value := range []*Value{v, v, twice} { // closing twice is closing once
		if err := value.Close(); err != nil {
			t.Error(err)
		}
	}
	becomes(t, absent, "it has no such key")
	if got := v.String(); got != "Secret platform/orders-db-monitor key dsn" {
		t.Errorf("found the name %q", got)
	}
}

func TestARoleThatIsMissingIsSpelledOut(t *testing.T) {
	var granted atomic.Bool
	client := fake.NewClientset(secretOf(monitor, map[string]string{"dsn": "hunter2"}))
	client.PrependReactor("list", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
		if granted.Load() {
			return false, nil, nil
		}
		return true, nil, apierrors.NewForbidden(corev1.Resource("secrets"), "", nil)
	})
	v := open(t, client).Key(monitor, "dsn")
	becomes(t, v, `ServiceAccount headroom of namespace headroom may not read it: expected a Role in namespace "platform" with apiGroups [""], resources [secrets], resourceNames [orders-db-monitor] and verbs [get, list, watch]`)
	granted.Store(true)
	becomes(t, v, "hunter2")
}

func TestAServerThatIsAwayIsSaid(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("list", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewServiceUnavailable("nobody home")
	})
	s := open(t, client)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Key(monitor, "dsn").Read(ctx); err == nil || !strings.Contains(err.Error(), "API server") {
		t.Errorf("expected words on the API server, found %v", err)
	}
	s.Close()
	if _, err := s.Key(monitor, "dsn").Read(t.Context()); err == nil {
		t.Error("a value could be read after Close")
	}
}
