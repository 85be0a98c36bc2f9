package supportbundle

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"reflect"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/internal/buildinfo"
	"github.com/keda-headroom/headroom/internal/redact"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/recording"
)

// patience is how long the server may take for its metrics, and for its recording.
const patience = 5 * time.Minute

// Bundle is bundle.json: what the archive is.
type Bundle struct {
	At        time.Time      `json:"at"`
	By        buildinfo.Info `json:"by"` // the program that made the archive
	KeptNames bool           `json:"keptNames,omitempty"`
	// From and To are what was asked for of the recording; left out where it is the
	// beginning, and the end.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// Decisions is how many of them are in the recording.
	Decisions int `json:"decisions"`
	// Problems say what is missing, and why. They have names in them where names are kept.
	Problems []string `json:"problems"`
}

// collector makes one archive.
type collector struct {
	Options
	out   *archive
	words *redact.Words // nil keeps names
	about Bundle
	parts int // that there are, of plans, metrics and recording
}

// Run makes the archive. What can't be had is missing from it, and said; where nothing
// can be had there is none.
func Run(ctx context.Context, o Options) error {
	at := o.now().UTC()
	from, to, err := o.span(at)
	if err != nil {
		return err
	}
	directory := "headroom-support-" + at.Format("20060102T150405Z")
	file := cmp.Or(o.File, directory+".tar.gz")
	c := &collector{Options: o, about: Bundle{At: at, By: buildinfo.Get(), KeptNames: o.KeepNames, From: from, To: to, Problems: []string{}}}
	if !o.KeepNames {
		c.words = redact.NewWords(o.Key)
	}
	if c.out, err = create(file, directory, at); err != nil {
		return err
	}
	if err := c.out.end(c.collect(ctx)); err != nil {
		return err
	}
	return c.say(file)
}

func (c *collector) collect(ctx context.Context) error {
	if c.Recording == "" {
		c.try("the plans", c.plans(ctx))
		c.try("the metrics", c.metrics(ctx))
	}
	c.try("the recording", c.recording(ctx))
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.parts == 0 {
		return fmt.Errorf("nothing could be had, so that there is no archive: %s", strings.Join(c.about.Problems, "; "))
	}
	about := c.about
	if c.words != nil {
		about.Problems = []string{} // errors have names in them
		for _, problem := range c.about.Problems {
			part, _, _ := strings.Cut(problem, ": ")
			about.Problems = append(about.Problems, part+": redacted")
		}
	}
	text, err := json.MarshalIndent(about, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(c.out.add("bundle.json", append(text, '\n')), c.out.add("README.txt", []byte(readme)))
}

// try notes whether a part is there.
func (c *collector) try(part string, err error) {
	if err != nil {
		c.about.Problems = append(c.about.Problems, fmt.Sprintf("%s: %v", part, err))
		return
	}
	c.parts++
}

// plansFields are those of the plans' JSON.
var plansFields = redact.FieldsOf(reflect.TypeFor[scaler.Plans]())

func (c *collector) plans(ctx context.Context) error {
	var plans json.RawMessage
	if err := c.Client.Get(ctx, "/v1/plans", nil, &plans); err != nil {
		return err
	}
	text := []byte(plans)
	if c.words != nil {
		var err error
		if text, err = c.words.JSON(text, plansFields); err != nil {
			return err
		}
	}
	return c.out.add("plans.json", text)
}

func (c *collector) metrics(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	in, err := c.Client.Open(ctx, "/metrics", nil)
	if err != nil {
		return err
	}
	defer in.Close()
	var text bytes.Buffer
	if c.words == nil {
		_, err = text.ReadFrom(in)
	} else {
		err = c.words.Metrics(in, &text)
	}
	if err != nil {
		return err
	}
	return c.out.add("metrics.txt", text.Bytes())
}

func (c *collector) recording(ctx context.Context) (err error) {
	from := c.Recording
	if from == "" {
		if from, err = os.MkdirTemp("", "headroom-support-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(from)) }()
		if err := c.fetch(ctx, from); err != nil {
			return err
		}
	}
	// Names are replaced in a copy, of the time that was asked for. Kept, they stand in the
	// files that have that time in them.
	if c.words == nil {
		reader, err := recording.OpenReader(from)
		if err != nil {
			return err
		}
		for _, err := range reader.Records(c.about.From, c.about.To) {
			if err == nil {
				c.about.Decisions++
			}
		}
		return c.out.addRecording(from)
	}
	to, err := os.MkdirTemp("", "headroom-support-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(to)) }()
	if c.about.Decisions, err = c.words.Recording(from, to, c.about.From, c.about.To); err != nil {
		return err
	}
	if c.about.Decisions == 0 {
		return errors.New("nothing was recorded in the time asked for")
	}
	return c.out.addRecording(to)
}

// fetch puts the server's recording into a directory.
func (c *collector) fetch(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	query := url.Values{}
	for name, t := range map[string]time.Time{"from": c.about.From, "to": c.about.To} {
		if !t.IsZero() {
			query.Set(name, t.UTC().Format(time.RFC3339))
		}
	}
	in, err := c.Client.Open(ctx, recording.Path, query)
	if err != nil {
		return err
	}
	defer in.Close()
	return unpack(in, dir)
}

// say tells the person what there is.
func (c *collector) say(file string) error {
	var text strings.Builder
	names := "Every name in it is replaced by a word that nobody can turn back; look through it all the same before you give it away."
	if c.KeepNames {
		names = "Names in it are as they are: of namespaces, workloads, databases, users, queues, pods and addresses."
	}
	fmt.Fprintf(&text, "%s holds %d decisions. %s\n", file, c.about.Decisions, names)
	for _, problem := range c.about.Problems {
		fmt.Fprintf(&text, "Missing: %s\n", problem)
	}
	fmt.Fprintf(&text, "To replay it: tar -xzf %s && headroom replay --recording %s\n", file, path.Join(c.out.directory, "recording"))
	_, err := c.Out.Write([]byte(text.String()))
	return err
}

const readme = `What a Headroom knew and had recorded, by headroom support-bundle.

bundle.json   when and by which version this was made, and what is missing
plans.json    every plan in force then, as headroom status reads it
metrics.txt   its metrics, in Prometheus' text format
recording/    what it decided, and from what: headroom replay --recording recording
              makes the decisions again, by the policies that were in force or with
              --policy by another

Unless bundle.json says keptNames, every name is replaced by a word: of namespaces,
workloads, databases, users, queues, pods and addresses, and the words of errors. One
name is the same word everywhere in here, and another one in any other archive. There
are no passwords and no data source names in any case.
`
