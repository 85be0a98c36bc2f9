package lint

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/internal/bypass"
	"github.com/keda-headroom/headroom/policy"
)

// The part of SARIF 2.1.0 (OASIS) that code hosts show.
type sarif struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool    sarifTool     `json:"tool"`
	Results []sarifResult `json:"results"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name           string      `json:"name"`
	Version        string      `json:"version,omitempty"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID               string    `json:"id"`
	ShortDescription sarifText `json:"shortDescription"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifResult struct {
	RuleID    string          `json:"ruleId"`
	RuleIndex int             `json:"ruleIndex"`
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations,omitempty"`
}

type sarifLocation struct {
	Physical sarifPhysical `json:"physicalLocation"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn,omitempty"`
}

// rules describe the codes of findings: those of policies, those of manifests, and
// every way past a target.
var rules = append([]sarifRule{
	{"Syntax", sarifText{"Not YAML, or not a policy document at all"}},
	{"TooLarge", sarifText{"More than may be read"}},
	{"Version", sarifText{"An apiVersion or kind that is not read here"}},
	{"UnknownField", sarifText{"A key that means nothing here"}},
	{"Duplicate", sarifText{"The same thing twice in one document"}},
	{"Required", sarifText{"Something is missing, or one choice too many is given"}},
	{"Value", sarifText{"A value of the wrong type or out of its bounds"}},
	{"Inconsistent", sarifText{"Two values that contradict each other"}},
	{"Conflict", sarifText{"An older document claims the same"}},
	{"DatabaseMissing", sarifText{"No policy describes a database"}},
	{"Unauthorized", sarifText{"A database does not admit the workload"}},
	{"Ineffective", sarifText{"A setting has no effect"}},
	{"Indistinguishable", sarifText{"Two workloads look alike to a database"}},
	{"Unreadable", sarifText{"A file could not be read"}},
	{"NothingFound", sarifText{"There was nothing to judge"}},
	{CodeManifest, sarifText{"A manifest that no API server takes"}},
	{CodeTrigger, sarifText{"A trigger whose metadata Headroom or KEDA refuses"}},
	{CodeUnknownWorkload, sarifText{"A trigger names a workload that no policy governs"}},
	{CodeNotAsked, sarifText{"A policy governs a workload that nothing asks for"}},
}, ways()...)

func ways() []sarifRule {
	var all []sarifRule
	for _, r := range bypass.Rules {
		all = append(all, sarifRule{string(r.Code), sarifText{r.Text}})
	}
	return all
}

func toSARIF(r Report, program string) sarif {
	run := sarifRun{
		Tool:    sarifTool{sarifDriver{Name: "headroom", Version: program, InformationURI: "https://github.com/keda-headroom/headroom", Rules: rules}},
		Results: []sarifResult{},
	}
	for _, f := range r.Findings {
		level := strings.ToLower(string(f.Severity)) // error, warning or note
		result := sarifResult{
			RuleID: string(f.Code), Level: level, Message: sarifText{f.problemText()},
			RuleIndex: slices.IndexFunc(rules, func(r sarifRule) bool { return r.ID == string(f.Code) }),
		}
		if f.File != "" && f.File != standardInput {
			at := sarifPhysical{Artifact: sarifArtifact{URI: (&url.URL{Path: filepath.ToSlash(f.File)}).String()}}
			if f.Line > 0 {
				at.Region = &sarifRegion{StartLine: f.Line, StartColumn: f.Column}
			}
			result.Locations = []sarifLocation{{at}}
		}
		run.Results = append(run.Results, result)
	}
	return sarif{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
}

// problemText is the message without its severity, which SARIF has elsewhere.
func (f Finding) problemText() string {
	f.Severity = policy.SeverityError
	return f.Message()
}
