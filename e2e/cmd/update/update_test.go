package main

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKubernetesFlags(t *testing.T) {
	ours := file{
		Require: []version{{"k8s.io/kubernetes", "v1.36.4"}, {"example.com/indirect", "v1.0.0"}},
		Replace: []replacement{
			{version{"k8s.io/api", ""}, version{"k8s.io/api", "v0.36.4"}},
			{version{"k8s.io/gone", ""}, version{"k8s.io/gone", "v0.36.4"}},
		},
	}
	theirs := file{
		Require: []version{{"go.etcd.io/etcd/server/v3", "v3.7.2"}, {"example.com/other", "v1.2.0"}},
		Replace: []replacement{
			{version{"k8s.io/api", ""}, version{"./staging/src/k8s.io/api", ""}},
			{version{"k8s.io/new", ""}, version{"./staging/src/k8s.io/new", ""}},
		},
	}
	got, err := kubernetesFlags(ours, theirs, "v1.37.1")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"-droprequire=k8s.io/kubernetes", "-droprequire=example.com/indirect",
		"-replace=k8s.io/api=k8s.io/api@v0.37.1", "-replace=k8s.io/new=k8s.io/new@v0.37.1",
		"-dropreplace=k8s.io/gone",
		"-require=k8s.io/kubernetes@v1.37.1", "-require=k8s.io/component-base@v0.37.1",
		"-require=go.etcd.io/etcd/server/v3@v3.7.2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := kubernetesFlags(ours, file{}, "v1.37.1"); err == nil || !strings.Contains(err.Error(), "etcd") {
		t.Errorf("without etcd: got %v", err)
	}
	if _, err := kubernetesFlags(ours, theirs, "1.37"); err == nil || !strings.Contains(err.Error(), `found "1.37"`) {
		t.Errorf("no version: got %v", err)
	}
}

func TestKEDAFlags(t *testing.T) {
	ours := file{
		Require: []version{{"github.com/kedacore/keda/v2", "v2.21.0"}},
		Exclude: []version{{"example.com/excluded", "v1.0.0"}},
		Replace: []replacement{
			{version{"example.com/old", "v0.1.0"}, version{"example.com/old", "v0.1.1"}},
			{version{"github.com/keda-headroom/headroom", ""}, version{"../../", ""}},
		},
	}
	theirs := file{
		Exclude: []version{{"example.com/bad", "v5.2.3"}},
		Replace: []replacement{{version{"example.com/new", ""}, version{"example.com/fork", "v1.0.0"}}},
	}
	got, err := kedaFlags(ours, theirs, "v2.22.0")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"-droprequire=github.com/kedacore/keda/v2",
		"-dropreplace=example.com/old@v0.1.0",
		"-require=github.com/keda-headroom/headroom@v0.0.0",
		"-dropexclude=example.com/excluded@v1.0.0",
		"-replace=example.com/new=example.com/fork@v1.0.0",
		"-exclude=example.com/bad@v5.2.3",
		"-require=github.com/kedacore/keda/v2@v2.22.0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	theirs.Replace = []replacement{{version{"example.com/x", ""}, version{"./x", ""}}}
	if _, err := kedaFlags(ours, theirs, "v2.22.0"); err == nil || !strings.Contains(err.Error(), "./x") {
		t.Errorf("a directory of theirs: got %v", err)
	}
}

func TestNothingToUpdate(t *testing.T) {
	if err := run(context.Background(), ".", "", ""); err == nil {
		t.Error("expected an error")
	}
}
