package report

import (
	"bytes"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/scenario"
	"github.com/holdfast-go/holdfast/bench/internal/stats"
)

// plots adds a file for each plot that there are results for.
func plots(files map[string][]byte, r *result.Results) error {
	for name, make := range map[string]func(*result.Results) *plot.Plot{
		"change.svg": changePlot,
	} {
		p := make(r)
		if p == nil {
			continue
		}
		c := vgsvg.New(18*vg.Centimeter, 10*vg.Centimeter)
		p.Draw(draw.New(c))
		var b bytes.Buffer
		if _, err := c.WriteTo(&b); err != nil {
			return err
		}
		files[name] = b.Bytes()
	}
	return nil
}

// colours tell contenders apart, also for who sees no red and green (Okabe and Ito).
var colours = map[string]color.Color{
	contender.Holdfast:       color.RGBA{0, 114, 178, 255},
	contender.Peer:           color.RGBA{213, 94, 0, 255},
	contender.CacheDiscovery: color.RGBA{230, 159, 0, 255},
	contender.Curator:        color.RGBA{0, 158, 115, 255},
	contender.Floor:          color.RGBA{120, 120, 120, 255},
}

// contenders in the order of legends.
var contenders = []string{contender.Holdfast, contender.Peer, contender.CacheDiscovery, contender.Curator, contender.Floor}

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	sans := font.Font{Typeface: "Liberation", Variant: "Sans"}
	for _, f := range []*font.Font{
		&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font,
		&p.Legend.TextStyle.Font,
	} {
		size := f.Size
		*f = sans
		f.Size = size
	}
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Font.Size = 12
	p.Title.Padding = 8
	p.BackgroundColor = color.White
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{225}
	p.Add(grid)
	return p
}

// changePlot is how long an added instance takes to a watcher, by size.
func changePlot(r *result.Results) *plot.Plot {
	p := newPlot("An added instance reaches a watcher (median)", "instances of the service", "")
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = decades(result.Count), decades(result.Time)
	any := false
	for _, name := range contenders {
		var points plotter.XYs
		for _, c := range r.Cells {
			if c.Scenario == 1 && c.Measure == scenario.Added && c.Contender == name && c.RoundTrip == 0 && c.Summary.N > 0 && !c.Summary.P50.Never() {
				points = append(points, plotter.XY{X: float64(c.Instances), Y: float64(c.Summary.P50)})
			}
		}
		if len(points) == 0 {
			continue
		}
		any = true
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			continue // a value that is no number
		}
		line.Color, line.Width = colours[name], vg.Points(2)
		dots.Color, dots.Shape, dots.Radius = colours[name], draw.CircleGlyph{}, vg.Points(3)
		p.Add(line, dots)
		p.Legend.Add(name, line, dots)
	}
	if !any {
		return nil
	}
	p.Legend.Top, p.Legend.Left = true, true
	widen(&p.X)
	widen(&p.Y)
	return p
}

// widen makes room around the values of a logarithmic axis.
func widen(a *plot.Axis) {
	a.Min, a.Max = a.Min/1.4, a.Max*1.4
}

// decades marks the powers of ten, in words that people read.
func decades(u result.Unit) plot.Ticker {
	return plot.TickerFunc(func(low, high float64) []plot.Tick {
		var ticks []plot.Tick
		for exp := math.Floor(math.Log10(low)); exp <= math.Ceil(math.Log10(high)); exp++ {
			for _, digit := range []float64{1, 2, 5} {
				v := digit * math.Pow(10, exp)
				if v < low || v > high {
					continue
				}
				t := plot.Tick{Value: v}
				if digit == 1 || math.Log10(high/low) < 2.5 {
					t.Label = number(stats.Number(v), u)
				}
				ticks = append(ticks, t)
			}
		}
		return ticks
	})
}
