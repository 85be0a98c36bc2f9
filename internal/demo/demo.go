package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/internal/fakeaws"
)

// Options say how the demo runs.
type Options struct {
	// DSN is of any PostgreSQL, by a superuser or a role with CREATEROLE and
	// CREATEDB; "" starts a private server.
	DSN string
	// Output is "table" or "json"; "" means table. JSON is one object on the
	// last line.
	Output string
	// Headroom is the path of the program; "" builds it.
	Headroom string
	// Worker is the command of a worker, which has to call RunWorker.
	Worker []string
	// Verbose logs every decision of KEDA and the HPA.
	Verbose bool
	// Stdout gets the report, Stderr progress.
	Stdout, Stderr io.Writer
}

// ErrFindings says that the demo ran, and that what it shows is wrong.
var ErrFindings = errors.New("the demo shows what Headroom promises not to do")

// Run runs the demo and writes its report. Whatever it started has ended, and
// whatever it made is gone, when it returns.
func Run(ctx context.Context, o Options) error { return run(ctx, o, standard()) }

func run(ctx context.Context, o Options, s scenario) (err error) {
	if o.Output != "" && o.Output != "table" && o.Output != "json" {
		return fmt.Errorf("--output: expected table or json, found %q", o.Output)
	}
	began := time.Now()
	p := newProgress(o.Stderr)
	dir, err := os.MkdirTemp("", "headroom-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	st := &stage{scenario: s, worker: o.Worker, dir: dir, progress: p, log: slog.New(slog.DiscardHandler)}
	if o.Verbose {
		st.log = slog.New(slog.NewTextHandler(o.Stderr, nil))
	}
	if err := s.check(); err != nil {
		return err
	}
	if st.headroom, err = headroomProgram(ctx, o.Headroom, dir, p); err != nil {
		return err
	}
	if o.DSN == "" {
		p.say("Starting a private PostgreSQL")
		st.site, err = privateSite(ctx, s)
	} else {
		p.say("Making a database and roles for the demo on the server of --dsn")
		st.site, err = lentSite(ctx, s, o.DSN)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.site.close()) }()
	st.queues = fakeaws.New(fakeaws.Options{Region: queueRegion})
	if _, err := st.queues.Start(""); err != nil {
		return err
	}
	defer st.queues.Close()

	report := Report{Setup: setup(s, st.site)}
	p.say("%s", introduction(s, report.Setup))
	for i, r := range []struct {
		who   contender
		about string
		out   *Outcome
	}{
		{plain, "queue depth alone: aws-sqs-queue with KEDA's defaults", &report.Plain},
		{governed, "Headroom, mode Target", &report.Headroom},
		{bound, fmt.Sprintf("the bound: %d replicas, fixed", report.Setup.BoundReplicas), &report.Bound},
	} {
		p.say("\nRun %d of 3: %s", i+1, r.about)
		*r.out, err = st.run(ctx, r.who, i)
		p.done()
		if err != nil {
			return err
		}
	}
	report.BoundSeconds = report.Bound.DrainSeconds
	report.judge()
	report.Seconds = seconds(time.Since(began))
	write := report.writeTable
	if o.Output == "json" {
		write = report.writeJSON
	}
	if err := write(o.Stdout); err != nil {
		return err
	}
	if len(report.Findings) > 0 {
		return fmt.Errorf("%w: %s", ErrFindings, strings.Join(report.Findings, "; "))
	}
	return nil
}

func setup(s scenario, at *site) Setup {
	return Setup{
		Site: at.about, Usable: at.usable, Reserve: s.reserve, Others: s.others(at.watcher), Budget: s.budget(at.watcher),
		ConnectionsPerPod: s.connectionsPerPod, BoundReplicas: s.boundReplicas(at.watcher), Messages: s.messages, Faster: s.faster,
	}
}

// introduction says what is going to happen.
func introduction(s scenario, u Setup) string {
	return fmt.Sprintf(`%s.
A worker handles %d messages at a time, each with a connection of its own for %v.
Another application holds %d connections, opens a short one every %v, and %v into each burst wants %d more for %v.
So that this takes minutes, KEDA and the HPA run %d times faster in every run: sync %v, poll %v, scale-down stabilization %v.`,
		strings.ToUpper(u.Site[:1])+u.Site[1:], s.connectionsPerPod, s.work, s.otherHeld, s.shortEvery, s.spikeAfter, s.otherSpike, s.spikeFor,
		s.faster, s.syncPeriod(), s.scaledObject().PollingInterval, s.quicker(5*time.Minute))
}
