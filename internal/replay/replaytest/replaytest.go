// Package replaytest records an incident for tests of what reads recordings.
package replaytest

import (
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/arrivals"
	"github.com/keda-headroom/headroom/internal/forecast"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/recording"
)

// Record plays a burst of messages in which another application takes 20 connections
// for half a minute, to the policy's first group, and records in dir what was decided.
// The group has one database and one workload.
func Record(t *testing.T, dir string, set policy.Set) {
	t.Helper()
	recorder, err := recording.Open(recording.Options{Dir: dir, Queue: 10_000, Program: "test"})
	if err != nil {
		t.Fatal(err)
	}
	group := set.Groups(nil)[0]
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	_, err = forecast.Run(t.Context(), forecast.World{
		Arrivals: arrivals.Trace{Start: begin, Intervals: []arrivals.Interval{{Length: 5 * time.Second, Count: 1800}}},
		Scale:    1, Service: forecast.Service{Kind: forecast.Fixed, Mean: 4 * time.Second}, Concurrency: 5, StartUp: time.Second, Grace: 5 * time.Second,
		Servers: []forecast.Server{{ID: group.Databases[0].ID, Limit: 97, PerPod: 5, Reserve: 10, Others: []forecast.Level{
			{Connections: 16}, {At: 45 * time.Second, Connections: 36}, {At: 75 * time.Second, Connections: 16},
		}}},
		MinReplicas: 1, MaxReplicas: 60, Patience: 10 * time.Minute,
	}, forecast.Contender{Name: "recorded", Headroom: &group, Record: func(at time.Time, g policy.Group, s policy.Snapshot, l policy.Ledger, p policy.Plan) {
		if !at.Before(begin) {
			kept := recording.New(at, g, s, l, p) // what goes on changing is copied
			recorder.Record(at, g, kept.Snapshot, kept.Ledger, p)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := recorder.Close(); err != nil {
		t.Fatal(err)
	}
}
