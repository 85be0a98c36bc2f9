package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the pages about manifests lead to is there, and every component and example
// is told of.
func TestDocsAndManifestsAgree(t *testing.T) {
	pages := ""
	for _, page := range []string{"../../docs/install.md", "../../docs/gate.md", "../../docs/runbook.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		pages += string(text)
		for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(string(text), -1) {
			path, anchor, _ := strings.Cut(link[1], "#")
			switch {
			case strings.HasPrefix(path, "https://"):
			case path == "":
				if !regexp.MustCompile("(?mi)^## " + anchor + "$").Match(text) {
					t.Errorf("%s leads to %s", page, link[1])
				}
			default:
				if _, err := os.Stat(filepath.Join("../../docs", path)); err != nil {
					t.Errorf("%s leads to %s: %v", page, link[1], err)
				}
			}
		}
		for _, path := range regexp.MustCompile(`manifests/[a-z0-9/._-]*[a-z]`).FindAllString(string(text), -1) {
			if _, err := os.Stat(filepath.Join("../..", path)); err != nil {
				t.Errorf("%s names %s: %v", page, path, err)
			}
		}
	}
	for _, name := range components(t) {
		if !strings.Contains(pages, "| `"+name+"` |") {
			t.Errorf("docs/install.md does not tell of component %s", name)
		}
	}
	for path := range examples(t) {
		if !strings.Contains(pages, filepath.Base(path)) {
			t.Errorf("docs/install.md does not tell of example %s", path)
		}
	}
}
