// Package buildinfo says which build of Headroom is running.
package buildinfo

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set when a release is built, by
//
//	-ldflags "-X github.com/keda-headroom/headroom/internal/buildinfo.version=v1.2.3"
var version string

// Info identifies a build. Version is never empty; Revision and Time are "" where
// the build does not know them.
type Info struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // commit, "-dirty" behind it if there was more
	Time     string `json:"time,omitempty"`     // of the commit, RFC 3339
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Get returns the running build.
func Get() Info {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		build = &debug.BuildInfo{}
	}
	return from(version, build)
}

func from(version string, build *debug.BuildInfo) Info {
	info := Info{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info.Version == "" {
		info.Version = build.Main.Version // what `go install …@v1.2.3` builds
	}
	if info.Version == "" {
		info.Version = "(devel)"
	}
	dirty := false
	for _, setting := range build.Settings {
		switch setting.Key {
		case "vcs.revision":
			info.Revision = setting.Value
		case "vcs.time":
			info.Time = setting.Value
		case "vcs.modified":
			dirty = setting.Value == "true"
		}
	}
	if dirty && info.Revision != "" {
		info.Revision += "-dirty"
	}
	return info
}

// String is one line for a person.
func (i Info) String() string {
	text := "headroom " + i.Version
	if i.Revision != "" {
		text += fmt.Sprintf(" (%s, %s)", i.Revision, i.Time)
	}
	return text + fmt.Sprintf(" built with %s for %s", i.Go, i.Platform)
}
