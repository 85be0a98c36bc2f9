package policyconfigmap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/keda-headroom/headroom/scaler/policies"
)

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "uid-of-it", Labels: map[string]string{Label: "true"}},
		Data:       data,
	}
}

func database(name string) string {
	return "apiVersion: keda-headroom.github.io/v1alpha1\nkind: Policy\ndatabases: [{name: " + name + ", postgresql: {dsn: {env: DSN}}}]\n"
}

// watching is a watcher that runs, and what was made of what it found.
type watching struct {
	t       *testing.T
	client  *fake.Clientset
	watcher *Watcher
	results chan policies.Result
}

func watch(t *testing.T, client *fake.Clientset) *watching {
	t.Helper()
	w := &watching{t: t, client: client, results: make(chan policies.Result, 100)}
	keeper := policies.NewKeeper(policies.Options{Loaded: func(r policies.Result) { w.results <- r }})
	var err error
	if w.watcher, err = New(Options{Client: client}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.watcher.Run(ctx, keeper.Origin("configmaps", false))
	}()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

// becomes waits until the databases in force and the verdicts are these.
func (w *watching) becomes(want string) policies.Result {
	w.t.Helper()
	last := "nothing"
	deadline := time.After(time.Minute)
	for {
		select {
		case r := <-w.results:
			var parts []string
			for _, d := range r.Set.Databases {
				parts = append(parts, d.ID.String())
			}
			for _, v := range r.Verdicts {
				parts = append(parts, fmt.Sprintf("%s:%s", v.Source.Where, v.State))
			}
			if last = strings.Join(parts, ", "); last == want {
				return r
			}
		case <-deadline:
			w.t.Fatalf("expected %q, found %q", want, last)
		}
	}
}

func TestConfigMapsAreFollowed(t *testing.T) {
	other := configMap("other", map[string]string{"a.yaml": "no policy"})
	other.Labels = nil
	client := fake.NewClientset(configMap("a", map[string]string{"a.yaml": database("a"), "b.JSON": `{"apiVersion": "keda-headroom.github.io/v1alpha1", "kind": "Policy", "databases": []}`, "README.md": "words"}), other)
	w := watch(t, client)
	r := w.becomes("shop/a, ConfigMap shop/a a.yaml:Accepted, ConfigMap shop/a b.JSON:Accepted")
	if v := r.Verdicts[0]; v.UID != "uid-of-it" || v.Source.Namespace != "shop" || v.Source.Name != "a" {
		t.Errorf("expected the object that carries the policy, found %+v", v.Input)
	}
	maps := client.CoreV1().ConfigMaps("shop")
	if _, err := maps.Create(t.Context(), configMap("b", map[string]string{"policy.yml": database("b")}), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.becomes("shop/a, shop/b, ConfigMap shop/a a.yaml:Accepted, ConfigMap shop/a b.JSON:Accepted, ConfigMap shop/b policy.yml:Accepted")
	if _, err := maps.Update(t.Context(), configMap("a", map[string]string{"policy": "words"}), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	r = w.becomes("shop/b, ConfigMap shop/a:Rejected, ConfigMap shop/b policy.yml:Accepted")
	if p := r.Verdicts[0].Problems; len(p) != 1 || !strings.Contains(p[0].String(), "ends in .yaml, .yml, .json, found policy") {
		t.Errorf("expected words on what is missing, found %v", p)
	}
	if err := maps.Delete(t.Context(), "b", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.becomes("ConfigMap shop/a:Rejected")
	if p := w.watcher.Problem(); p != "" {
		t.Errorf("expected no problem, found %q", p)
	}
}

func TestNothingIsFoundBeforeTheFirstList(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("list", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("forbidden to list")
	})
	w := watch(t, client)
	deadline := time.After(time.Minute)
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for !strings.Contains(w.watcher.Problem(), "forbidden to list") {
		select {
		case <-deadline:
			t.Fatalf("expected the problem to be told, found %q", w.watcher.Problem())
		case <-again.C:
		}
	}
	select {
	case r := <-w.results:
		t.Errorf("judged before anything was read: %+v", r)
	default:
	}
}
