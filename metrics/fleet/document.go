package fleet

import (
	"encoding/json"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
)

// Format writes a document that [Parse] reads back as the same fleets, workloads
// in a stable order. It fails where a time can't be written (years past 9999).
func Format(fleets map[metrics.ID]metrics.Fleet) ([]byte, error) {
	if fleets == nil {
		fleets = map[metrics.ID]metrics.Fleet{}
	}
	return json.MarshalIndent(struct {
		Fleets map[metrics.ID]metrics.Fleet `json:"fleets"`
	}{fleets}, "", "  ")
}

// Parse reads a document. Pods come out oldest first, those of one age by uid,
// whatever their order was. The error names field, value and rule of every
// mistake, up to 20, one a line.
func Parse(data []byte) (map[metrics.ID]metrics.Fleet, error) {
	r, err := newReader(data)
	if err != nil {
		return nil, err
	}
	d := &document{reader: r, fleets: make(map[metrics.ID]metrics.Fleet), uids: make(map[string]*place)}
	d.object(nil, fields{required: []string{"fleets"}}, func(_ string, at *place) {
		d.members(at, d.readFleet)
	})
	if err := d.err(); err != nil {
		return nil, err
	}
	return d.fleets, nil
}

// document is what was read so far.
type document struct {
	*reader
	fleets map[metrics.ID]metrics.Fleet
	uids   map[string]*place // of the pods
}

var (
	fleetFields = fields{
		required: []string{"specReplicas", "statusReplicas"},
		optional: []string{"minReplicas", "maxReplicas", "maxSurge", "maxUnavailable", "ordered", "hpa", "jobs", "pods"},
	}
	jobsFields = fields{
		required: []string{"running"},
		optional: []string{"strategy", "pending", "newest", "deduction", "runningShare", "disposable"},
	}
	hpaFields = fields{optional: []string{"scaleDownToleranceMilli", "scaleDownStabilization"}}
	podFields = fields{
		required: []string{"uid", "name", "createdAt"},
		optional: []string{"version", "epoch", "address", "revision", "ordinal", "gated", "otherGates", "ready", "started", "terminating", "finished", "grant"},
	}
)

func (d *document) readFleet(name string, at *place) {
	id, err := metrics.ParseID(name)
	if err != nil {
		d.mistake(at, "%v as the name of a workload", err)
	}
	var fleet metrics.Fleet
	d.object(at, fleetFields, func(name string, at *place) {
		switch name {
		case "specReplicas":
			fleet.SpecReplicas = d.count(at)
		case "statusReplicas":
			fleet.StatusReplicas = d.count(at)
		case "minReplicas":
			fleet.MinReplicas = d.count(at)
		case "maxReplicas":
			fleet.MaxReplicas = d.count(at)
		case "maxSurge":
			fleet.MaxSurge = d.countOrPercent(at)
		case "maxUnavailable":
			fleet.MaxUnavailable = d.countOrPercent(at)
		case "ordered":
			fleet.Ordered = d.truth(at)
		case "hpa":
			fleet.HPA = d.readHPA(at)
		case "jobs":
			fleet.Jobs = d.readJobs(at)
		case "pods":
			d.elements(at, func(at *place) { fleet.Pods = append(fleet.Pods, d.readPod(at)) })
		}
	})
	slices.SortFunc(fleet.Pods, func(a, b metrics.Pod) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(a.UID, b.UID)
	})
	d.fleets[id] = fleet
}

func (d *document) readHPA(at *place) metrics.HPA {
	var hpa metrics.HPA
	d.object(at, hpaFields, func(name string, at *place) {
		switch name {
		case "scaleDownToleranceMilli":
			hpa.ScaleDownToleranceMilli = d.count(at)
		case "scaleDownStabilization":
			hpa.ScaleDownStabilization = d.duration(at)
		}
	})
	return hpa
}

func (d *document) readJobs(at *place) *metrics.Jobs {
	var jobs metrics.Jobs
	d.object(at, jobsFields, func(name string, at *place) {
		switch name {
		case "strategy":
			jobs.Strategy = metrics.JobStrategy(d.text(at))
		case "running":
			jobs.Running = d.count(at)
		case "pending":
			jobs.Pending = d.count(at)
		case "newest":
			jobs.Newest = d.time(at)
		case "deduction":
			jobs.Deduction = d.count(at)
		case "runningShare":
			jobs.RunningShare = d.share(at)
		case "disposable":
			jobs.Disposable = d.truth(at)
		}
	})
	return &jobs
}

func (d *document) readPod(at *place) metrics.Pod {
	var pod metrics.Pod
	d.object(at, podFields, func(name string, at *place) {
		switch name {
		case "uid":
			pod.UID = d.uid(at)
		case "name":
			pod.Name = d.text(at)
		case "version":
			pod.Version = d.text(at)
		case "epoch":
			pod.Epoch = d.text(at)
		case "address":
			pod.Address = d.address(at)
		case "createdAt":
			pod.CreatedAt = d.time(at)
		case "revision":
			pod.Revision = d.number(at, d.next(), math.MaxInt64)
		case "ordinal":
			pod.Ordinal = d.count(at)
		case "gated":
			pod.Gated = d.truth(at)
		case "otherGates":
			pod.OtherGates = d.truth(at)
		case "ready":
			pod.Ready = d.truth(at)
		case "started":
			pod.Started = d.truth(at)
		case "terminating":
			pod.Terminating = d.truth(at)
		case "finished":
			pod.Finished = d.truth(at)
		case "grant":
			pod.Grant = d.grant(at)
		}
	})
	return pod
}

// uid reads a text that no other pod has for its uid.
func (d *document) uid(at *place) string {
	uid := d.text(at)
	if uid == "" {
		return ""
	}
	if other := d.uids[uid]; other != nil {
		d.mistake(at, "expected a uid of its own, found %q, which %s has too", shorten(uid), other)
	}
	d.uids[uid] = at
	return uid
}

// grant reads connections by database.
func (d *document) grant(at *place) map[string]int {
	grant := make(map[string]int)
	d.members(at, func(name string, at *place) {
		if _, err := metrics.ParseID(name); err != nil {
			d.mistake(at, "%v as the name of a database", err)
		}
		grant[name] = d.count(at)
	})
	return grant
}

// countOrPercent reads 3, "3" or "25%".
func (d *document) countOrPercent(at *place) intorpercent.Value {
	token := d.next()
	text, _ := token.(string)
	if number, ok := token.(json.Number); ok {
		text = number.String()
	}
	value, err := intorpercent.Parse(text)
	if err != nil {
		d.wrong(at, token, `a whole number of 0 or more, or a percentage such as "25%"`)
	}
	return value
}

// duration reads "5m" or a number of nanoseconds.
func (d *document) duration(at *place) time.Duration {
	token := d.next()
	text, isText := token.(string)
	if !isText {
		return time.Duration(d.number(at, token, math.MaxInt64))
	}
	parsed, err := time.ParseDuration(text)
	if err != nil || parsed < 0 {
		d.wrong(at, token, `a duration of 0 or more such as "5m"`)
		return 0
	}
	return parsed
}

// time reads an RFC 3339 time.
func (d *document) time(at *place) time.Time {
	token := d.next()
	text, _ := token.(string)
	var parsed time.Time
	if err := parsed.UnmarshalText([]byte(text)); err != nil {
		d.wrong(at, token, `a time such as "2026-03-01T12:00:00Z"`)
		return time.Time{}
	}
	return parsed
}

// address reads an IP address, or "".
func (d *document) address(at *place) string {
	token := d.next()
	text, isText := token.(string)
	if isText && text == "" {
		return ""
	}
	parsed, err := netip.ParseAddr(text)
	if err != nil || parsed.Zone() != "" {
		d.wrong(at, token, `an IP address or ""`)
		return ""
	}
	return parsed.Unmap().String() // one way to write each address
}
