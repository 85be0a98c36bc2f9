package serve

import (
	"context"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/keda-headroom/headroom/internal/fakeaws"
	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/internal/steadyport"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/kube"
	"github.com/keda-headroom/headroom/policy"
)

func TestWhileTheAPIServerIsAwayAtTheStart(t *testing.T) {
	port, err := steadyport.Port()
	if err != nil {
		t.Fatal(err)
	}
	config := fakeaws.New(fakeaws.Options{}).InProcess()
	options := Defaults()
	options.AWS = &config
	options.KubeConfig = &rest.Config{Host: "http://127.0.0.1:" + strconv.Itoa(port)}
	r := start(t, options)
	eventually(t, r.log, "words on the API server", func() (string, bool) {
		code, body := r.get(t, "/readyz")
		return body, code == http.StatusServiceUnavailable && strings.Contains(body, "connection refused")
	})
	if code, _ := r.get(t, "/livez"); code != http.StatusOK {
		t.Errorf("expected to be alive, found %d", code)
	}
	_, err = r.client(t).GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ask(orders)})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("expected Unavailable, found %v", err)
	}
	if text := r.log.String(); !strings.Contains(text, "waiting for Kubernetes") {
		t.Errorf("the log does not say what is waited for: %s", text)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

// objects are ScaledObjects and ScaledJobs by name, and what may not be seen.
type objects struct {
	scaledObjects map[string][]kedaapi.Trigger
	scaledJobs    map[string][]kedaapi.Trigger
	refused       []error
}

func (o objects) ScaledObject(id metrics.ID) (out kedaapi.ScaledObject, ok bool) {
	out.ObjectMeta = metav1.ObjectMeta{Namespace: id.Namespace, Name: id.Name}
	out.Spec.Triggers, ok = o.scaledObjects[id.Name]
	return out, ok
}

func (o objects) ScaledJob(id metrics.ID) (out kedaapi.ScaledJob, ok bool) {
	out.Spec.Triggers, ok = o.scaledJobs[id.Name]
	return out, ok
}

func (o objects) Refused() []error { return o.refused }

func TestOptedOut(t *testing.T) {
	trigger := func(key, value string) []kedaapi.Trigger {
		return []kedaapi.Trigger{{Type: "cpu"}, {Type: "external-push", Metadata: map[string]string{"scalerAddress": "headroom.headroom.svc:6000", key: value}}}
	}
	plain := policy.Workload{ID: orders}
	named := policy.Workload{ID: orders, ScaledObject: "orders"}
	jobs := policy.Workload{ID: orders, ScaledJob: "orders-job"}
	for what, c := range map[string]struct {
		workload policy.Workload
		in       objects
		want     bool
	}{
		"a trigger names it":                {plain, objects{scaledObjects: map[string][]kedaapi.Trigger{"order-workers": trigger("workload", "order-workers")}}, false},
		"of the ScaledObject in its policy": {named, objects{scaledObjects: map[string][]kedaapi.Trigger{"orders": trigger("workload", "order-workers")}}, false},
		"of its ScaledJob":                  {jobs, objects{scaledJobs: map[string][]kedaapi.Trigger{"orders-job": trigger("workload", "order-workers")}}, false},
		"a variable may name it":            {plain, objects{scaledObjects: map[string][]kedaapi.Trigger{"order-workers": trigger("workloadFromEnv", "NAME")}}, false},
		"a trigger names another":           {plain, objects{scaledObjects: map[string][]kedaapi.Trigger{"order-workers": trigger("workload", "others")}}, true},
		"no trigger asks us":                {plain, objects{scaledObjects: map[string][]kedaapi.Trigger{"order-workers": {{Type: "aws-sqs-queue"}}}}, true},
		"its ScaledObject is gone":          {plain, objects{}, true},
		"ScaledObjects may not be seen":     {plain, objects{refused: []error{context.Canceled}}, false},
		"its ScaledJob is gone":             {jobs, objects{scaledObjects: map[string][]kedaapi.Trigger{"orders-job": trigger("workload", "order-workers")}}, true},
	} {
		if got := optedOut(c.in, c.workload); got != c.want {
			t.Errorf("%s: opted out is %v, want %v", what, got, c.want)
		}
	}
	target := policy.Workload{ID: orders, ScaleTarget: &policy.ScaleTarget{APIVersion: "apps/v1", Kind: "Deployment", Name: "orders"}}
	selector := policy.Workload{ID: orders, PodSelector: map[string]string{"app": "orders"}}
	for _, w := range []policy.Workload{target, selector} {
		// Only its policy asks for it, whatever a trigger may say.
		if !optedOut(objects{scaledObjects: map[string][]kedaapi.Trigger{"order-workers": trigger("workload", "order-workers")}}, w) {
			t.Errorf("%+v isn't opted out when its policy is gone", w)
		}
	}
	if got, want := referenceOf(target), (kube.Reference{Workload: orders, Target: &kube.Target{APIVersion: "apps/v1", Kind: "Deployment", Name: "orders"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("found %+v, want %+v", got, want)
	}
	if got, want := referenceOf(selector), (kube.Reference{Workload: orders, PodSelector: map[string]string{"app": "orders"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("found %+v, want %+v", got, want)
	}
	if got, want := referenceOf(plain), (kube.Reference{Workload: orders, ScaledObject: "order-workers"}); !reflect.DeepEqual(got, want) {
		t.Errorf("found %+v, want %+v", got, want)
	}
	if got, want := referenceOf(jobs), (kube.Reference{Workload: orders, ScaledJob: "orders-job"}); !reflect.DeepEqual(got, want) {
		t.Errorf("found %+v, want %+v", got, want)
	}
}

func TestASecretNeedsKubernetes(t *testing.T) {
	d := policy.Database{ID: orders, PostgreSQL: &policy.PostgreSQL{DSN: policy.DSN{Secret: &policy.SecretKey{Name: "s", Key: "dsn"}}}}
	if _, err := openDatabase(d, nil, nil, time.Second); err == nil || !strings.Contains(err.Error(), "secretKeyRef") {
		t.Errorf("expected words on the Secret, found %v", err)
	}
}
