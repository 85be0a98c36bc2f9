//go:build ignore

// Demo-report reads what `make demo OUTPUT=json` printed and holds its last line to
// what whoever reads it may rely on:
//
//	make demo OUTPUT=json | tee output
//	go run .ci/demo-report.go < output
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

type outcome struct {
	WorkerRefusals *int     `json:"workerRefusals"`
	OtherRefusals  *int     `json:"otherRefusals"`
	SecondsFull    *float64 `json:"secondsFull"`
	PeakUsed       *int     `json:"peakUsed"`
	Usable         *int     `json:"usable"`
	DrainSeconds   *float64 `json:"drainSeconds"`
	Drained        *bool    `json:"drained"`
}

func main() {
	if err := check(); err != nil {
		fmt.Fprintln(os.Stderr, "the demo's report:", err)
		os.Exit(1)
	}
}

func check() error {
	var last []byte
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		last = append(last[:0], lines.Bytes()...)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	var report struct {
		BoundSeconds *float64 `json:"boundSeconds"`
		Plain        *outcome `json:"plain"`
		Headroom     *outcome `json:"headroom"`
	}
	if err := json.Unmarshal(last, &report); err != nil {
		return fmt.Errorf("expected one JSON object on the last line, found %q: %w", last, err)
	}
	if report.BoundSeconds == nil || report.Plain == nil || report.Headroom == nil {
		return fmt.Errorf("expected boundSeconds, plain and headroom, found %s", last)
	}
	for name, o := range map[string]*outcome{"plain": report.Plain, "headroom": report.Headroom} {
		for key, missing := range map[string]bool{
			"workerRefusals": o.WorkerRefusals == nil, "otherRefusals": o.OtherRefusals == nil,
			"secondsFull": o.SecondsFull == nil, "peakUsed": o.PeakUsed == nil, "usable": o.Usable == nil,
			"drainSeconds": o.DrainSeconds == nil, "drained": o.Drained == nil,
		} {
			if missing {
				return fmt.Errorf("%s: expected %s, found none", name, key)
			}
		}
	}
	switch h, p := report.Headroom, report.Plain; {
	case !*h.Drained:
		return fmt.Errorf("under Headroom the burst did not drain")
	case *h.PeakUsed > *h.Usable:
		return fmt.Errorf("under Headroom %d connections were used of %d", *h.PeakUsed, *h.Usable)
	case *p.WorkerRefusals+*p.OtherRefusals == 0:
		return fmt.Errorf("on queue depth alone nobody was refused, so the demo shows nothing")
	default:
		fmt.Printf("demo: drained in %.1f s under Headroom, %.2f of the bound; refused: %d there, %d on queue depth alone\n",
			*h.DrainSeconds, *h.DrainSeconds / *report.BoundSeconds,
			*h.WorkerRefusals+*h.OtherRefusals, *p.WorkerRefusals+*p.OtherRefusals)
		return nil
	}
}
