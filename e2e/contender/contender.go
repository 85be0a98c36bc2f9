package contender

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"
)

// Replicas says how many replicas the workers' Deployments begin with.
type Replicas string

// The choices of Replicas.
const (
	// Min begins with the fleets' minReplicas.
	Min Replicas = "Min"
	// Fixed begins with the replicas that fit as long as nothing happens, and
	// nobody changes them.
	Fixed Replicas = "Fixed"
)

// Contender is who scales. A Contender comes from [Parse].
type Contender struct {
	// Name is the file's, without its ending.
	Name string `yaml:"-"`
	// Title is a few words for tables, About some sentences.
	Title string `yaml:"title"`
	About string `yaml:"about"`
	// Order is the place in tables and charts, from 1 on.
	Order int `yaml:"order"`
	// Replicas is Min where it is left out.
	Replicas Replicas `yaml:"replicas"`
	// Headroom says that it needs the service.
	Headroom bool `yaml:"headroom"`
	// Gate says that the workers' pods opt in to the gate, by a label in their
	// template: a pod waits until Headroom has reserved connections for it.
	Gate bool `yaml:"gate"`
	// Autoscaler is the database role that the autoscaler logs in as; "" where
	// it has no use for the database.
	Autoscaler string `yaml:"autoscaler"`
	// Grid are the values that each parameter is tried with; Shown are those of
	// a run without a sweep.
	Grid  map[string][]string `yaml:"grid"`
	Shown map[string]string   `yaml:"shown"`
	// Lane is the template of what there is once, Fleet that of what there is
	// for each fleet. They get a [Lane] and a [LaneFleet].
	Lane  string `yaml:"lane"`
	Fleet string `yaml:"fleet"`

	lane, fleet *template.Template
}

// Variant is a contender with a value for each of its parameters.
type Variant struct {
	Contender
	// Parameters are the values by name; empty without parameters.
	Parameters map[string]string
}

// ShownVariant is what runs without a sweep.
func (c Contender) ShownVariant() Variant { return Variant{c, maps.Clone(c.Shown)} }

// Sweep returns every combination of the grid, in a stable order: one variant
// where there are no parameters.
func (c Contender) Sweep() []Variant {
	variants := []Variant{{c, map[string]string{}}}
	for _, name := range slices.Sorted(maps.Keys(c.Grid)) {
		var next []Variant
		for _, v := range variants {
			for _, value := range c.Grid[name] {
				parameters := maps.Clone(v.Parameters)
				parameters[name] = value
				next = append(next, Variant{c, parameters})
			}
		}
		variants = next
	}
	return variants
}

// Label tells the variants of a contender apart: "reserve 10, tolerance 0".
// It is empty where there are no parameters.
func (v Variant) Label() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(v.Parameters)) {
		parts = append(parts, fmt.Sprintf("%s %s", name, v.Parameters[name]))
	}
	return strings.Join(parts, ", ")
}
