package bench

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/keda-headroom/headroom/e2e/bench/result"
)

// versions are those of what takes part.
func (s *stage) versions(postgresMajor int) result.Versions {
	return result.Versions{
		Headroom: s.commit, Kubernetes: s.binaries.Kubernetes, KEDA: s.binaries.KEDA,
		PostgreSQL: strconv.Itoa(postgresMajor), Go: strings.TrimPrefix(runtime.Version(), "go"),
	}
}

// gitVersion is the commit that the working tree is at, "-dirty" where Headroom
// itself differs from it.
func gitVersion(ctx context.Context) (string, error) {
	commit, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "", fmt.Errorf("git rev-parse HEAD: %w", err)
	}
	changed, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--", ":/cmd", ":/metrics", ":/policy", ":/scaler", ":/internal", ":/go.mod", ":/manifests").Output()
	if err != nil {
		return "", fmt.Errorf("git status: %w", err)
	}
	version := strings.TrimSpace(string(commit))
	if len(changed) > 0 {
		version += "-dirty"
	}
	return version, nil
}
