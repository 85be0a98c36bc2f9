package report

import (
	"bytes"
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/keda-headroom/headroom/e2e/bench/result"
	"github.com/keda-headroom/headroom/e2e/scenario"
)

// panel is one contender's part of a chart.
type panel struct {
	title string
	run   result.Result
}

// Measures of a chart.
const (
	chartWidth  = 10 * vg.Inch
	panelHeight = 2.1 * vg.Inch
	mostPoints  = 110 // of a line
)

// key explains the lines, beside a chart.
const key = "Blue: connections used; red, dashed: the limit for ordinary roles; orange: pods; gray: `spec.replicas`."

var (
	usedColor   = color.RGBA{R: 0x1f, G: 0x5f, B: 0xa8, A: 0xff}
	limitColor  = color.RGBA{R: 0xc0, G: 0x39, B: 0x2b, A: 0xff}
	podsColor   = color.RGBA{R: 0xe0, G: 0x8e, B: 0x0b, A: 0xff}
	targetColor = color.RGBA{R: 0x9a, G: 0x9a, B: 0x9a, A: 0xff}
)

// chart draws connections and pods over time, a panel for each contender on the
// same axes, in two columns.
func chart(s scenario.Scenario, panels []panel) ([]byte, error) {
	const columns = 2
	rows := (len(panels) + columns - 1) / columns
	longest, most := 0.0, 0
	for _, p := range panels {
		series := p.run.Samples
		longest = max(longest, float64(len(series.Used))*series.EverySeconds)
		for i := range series.Used {
			most = max(most, series.Used[i], series.Usable[i], series.Pods[i])
		}
	}
	plots := make([][]*plot.Plot, rows)
	for row := range plots {
		plots[row] = make([]*plot.Plot, columns)
		for column := range columns {
			i := row*columns + column
			if i >= len(panels) {
				continue
			}
			p, err := panels[i].plot(longest, float64(most)*1.05)
			if err != nil {
				return nil, err
			}
			plots[row][column] = p
		}
	}
	canvas := vgsvg.New(chartWidth, vg.Length(rows)*panelHeight)
	whole := draw.New(canvas)
	whole.FillPolygon(color.White, []vg.Point{{}, {X: whole.Max.X}, whole.Max, {Y: whole.Max.Y}}) // readers' pages may be dark
	tiles := draw.Tiles{Rows: rows, Cols: columns, PadX: 12, PadY: 12, PadTop: 4, PadBottom: 4, PadLeft: 4, PadRight: 8}
	for row, canvases := range plot.Align(plots, tiles, whole) {
		for column, c := range canvases {
			if plots[row][column] != nil {
				plots[row][column].Draw(c)
			}
		}
	}
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return nil, err
	}
	return svg.Bytes(), nil
}

// plot draws the panel on axes from 0 to the given ends.
func (p panel) plot(longest, most float64) (*plot.Plot, error) {
	out := plot.New()
	out.Title.Text = fmt.Sprintf("%s: %d refused, full %.0f s, %s", p.title, p.run.AllRefused(), p.run.SecondsFull, p.drain())
	out.Title.TextStyle.Font.Size = 8
	out.X.Min, out.X.Max, out.Y.Min, out.Y.Max = 0, longest, 0, most
	out.X.Label.Text = "seconds"
	out.X.Label.TextStyle.Font.Size = 8
	out.X.Tick.Label.Font.Size, out.Y.Tick.Label.Font.Size = 8, 8
	for _, l := range p.lines() {
		line, err := p.line(l)
		if err != nil {
			return nil, err
		}
		if line != nil {
			out.Add(line)
		}
	}
	return out, nil
}

func (p panel) drain() string {
	if !p.run.Drained {
		return "not drained"
	}
	return fmt.Sprintf("drained in %.0f s", p.run.DrainSeconds)
}

// line is one line of a panel.
type line struct {
	values []int
	color  color.Color
	width  vg.Length
	dashes []vg.Length
}

func (p panel) lines() []line {
	s := p.run.Samples
	return []line{
		{s.Usable, limitColor, 0.8, []vg.Length{4, 2}},
		{s.Target, targetColor, 0.8, nil},
		{s.Pods, podsColor, 1.2, nil},
		{s.Used, usedColor, 1.2, nil},
	}
}

// line thins a line out to mostPoints, by the highest of each step.
func (p panel) line(l line) (*plotter.Line, error) {
	if len(l.values) == 0 {
		return nil, nil
	}
	step := (len(l.values) + mostPoints - 1) / mostPoints
	var points plotter.XYs
	for i := 0; i < len(l.values); i += step {
		highest := 0
		for _, v := range l.values[i:min(i+step, len(l.values))] {
			highest = max(highest, v)
		}
		at := plotter.XY{X: float64(i) * p.run.Samples.EverySeconds, Y: float64(highest)}
		if n := len(points); n >= 2 && points[n-1].Y == at.Y && points[n-2].Y == at.Y {
			points[n-1] = at // a level line needs its two ends only
			continue
		}
		points = append(points, at)
	}
	out, err := plotter.NewLine(points)
	if err != nil {
		return nil, err
	}
	out.Color, out.Width, out.Dashes = l.color, l.width, l.dashes
	return out, nil
}
