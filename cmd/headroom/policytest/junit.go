package policytest

import (
	"encoding/xml"
	"strings"

	"github.com/keda-headroom/headroom/policy"
)

// junit is JUnit's XML as build servers read it: a suite for each file.
type junit struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name      string        `xml:"name,attr"`
	ClassName string        `xml:"classname,attr"`
	Failure   *junitMessage `xml:"failure"`
	// Error is of a file that could not be run.
	Error *junitMessage `xml:"error"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func toJUnit(r Report) junit {
	out := junit{Name: "headroom test"}
	for _, f := range r.Files {
		suite := junitSuite{Name: f.File}
		for _, result := range f.Results {
			c := junitCase{Name: result.Name, ClassName: f.File}
			if len(result.Failures) > 0 {
				var text strings.Builder
				for _, failure := range result.Failures {
					text.WriteString(details(failure))
				}
				c.Failure = &junitMessage{Message: "the decision is not as expected", Text: text.String()}
				suite.Failures++
			}
			suite.Cases = append(suite.Cases, c)
		}
		if policy.HasErrors(f.Problems) {
			var lines []string
			for _, p := range f.Problems {
				lines = append(lines, p.String())
			}
			suite.Cases = append(suite.Cases, junitCase{Name: "the file", ClassName: f.File, Error: &junitMessage{Message: "it could not be run", Text: strings.Join(lines, "\n")}})
			suite.Errors++
		}
		suite.Tests = len(suite.Cases)
		out.Tests, out.Failures, out.Errors = out.Tests+suite.Tests, out.Failures+suite.Failures, out.Errors+suite.Errors
		out.Suites = append(out.Suites, suite)
	}
	return out
}
