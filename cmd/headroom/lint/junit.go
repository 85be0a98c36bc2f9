package lint

import (
	"encoding/xml"
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/policy"
)

// junit is JUnit's XML as build servers read it: one test for each file, which
// fails where there are errors.
type junit struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Suite    []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name      string        `xml:"name,attr"`
	ClassName string        `xml:"classname,attr"`
	Failure   *junitFailure `xml:"failure"`
	// Out has the warnings and notes.
	Out string `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func toJUnit(r Report) junit {
	suite := junitSuite{Name: "headroom lint"}
	files := slices.Clone(r.Files)
	if len(files) == 0 || slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.File == "" }) {
		files = append(files, "") // of a cluster, or of no file alone
	}
	for _, file := range files {
		c := junitCase{Name: file, ClassName: suite.Name}
		if file == "" {
			c.Name = r.Cluster
		}
		var failures, warnings []string
		for _, f := range r.Findings {
			switch {
			case f.File != file:
			case f.Severity == policy.SeverityError:
				failures = append(failures, f.String())
			default:
				warnings = append(warnings, f.String())
			}
		}
		if len(failures) > 0 {
			c.Failure = &junitFailure{Message: count(len(failures), "error"), Text: strings.Join(failures, "\n")}
			suite.Failures++
		}
		c.Out = strings.Join(warnings, "\n")
		suite.Cases = append(suite.Cases, c)
	}
	suite.Tests = len(suite.Cases)
	return junit{Name: suite.Name, Tests: suite.Tests, Failures: suite.Failures, Suite: []junitSuite{suite}}
}
