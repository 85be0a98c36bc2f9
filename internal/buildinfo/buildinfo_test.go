package buildinfo

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestAReleaseIsNamedByItsFlag(t *testing.T) {
	build := &debug.BuildInfo{Main: debug.Module{Version: "v0.1.0"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	info := from("v1.2.3", build)
	if info.Version != "v1.2.3" || info.Revision != "abc-dirty" {
		t.Errorf("got %+v, want v1.2.3 of abc-dirty", info)
	}
	if want := "headroom v1.2.3 (abc-dirty, 2026-01-02T03:04:05Z) built with go"; !strings.HasPrefix(info.String(), want) {
		t.Errorf("got %q, want it to begin with %q", info, want)
	}
}

func TestABuildThatKnowsNothingStillHasAVersion(t *testing.T) {
	if got := from("", &debug.BuildInfo{}).Version; got != "(devel)" {
		t.Errorf("got %q", got)
	}
	if got := from("", &debug.BuildInfo{Main: debug.Module{Version: "v0.1.0"}}).Version; got != "v0.1.0" {
		t.Errorf("got %q", got)
	}
	if Get().Version == "" || Get().Go == "" {
		t.Errorf("got %+v", Get())
	}
}
