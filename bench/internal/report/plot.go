package report

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"slices"

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
	for name, draw := range map[string]func(*result.Results, string) ([]byte, error){
		"change.svg": drawLines(changePlot), "start.svg": drawLines(startPlot), "cost.svg": drawLines(costPlot), "outage.svg": drawOutage,
	} {
		b, err := draw(r, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if b != nil {
			files[name] = b
		}
	}
	return nil
}

const (
	plotWidth  = 18 * vg.Centimeter
	plotHeight = 10 * vg.Centimeter
)

// lines is a plot with a line for each contender, on logarithmic axes.
type lines struct {
	title string
	y     result.Unit
	keep  func(result.Cell) bool
}

var (
	changePlot = lines{"An added instance reaches a watcher (median, 95 % interval)", result.Time, func(c result.Cell) bool {
		return c.Scenario == 1 && c.Measure == scenario.Added
	}}
	startPlot = lines{"From the constructor to the first list (median, 95 % interval)", result.Time, func(c result.Cell) bool {
		return c.Scenario == 3 && c.Measure == scenario.StartUp
	}}
	costPlot = lines{"Requests to ZooKeeper for one added instance", result.Count, func(c result.Cell) bool {
		return c.Scenario == 2 && c.Measure == scenario.Requests+scenario.Added
	}}
)

func drawLines(l lines) func(*result.Results, string) ([]byte, error) {
	return func(r *result.Results, _ string) ([]byte, error) {
		p := newPlot(l.title, "instances of the service", "")
		p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
		p.X.Tick.Marker, p.Y.Tick.Marker = sizes(r.Cells, l.keep), decades(l.y)
		p.Legend.Top, p.Legend.Left = true, true
		found := false
		legend := make([]func(), 0, len(contenders))
		for i, name := range slices.Backward(contenders) { // the first is drawn last, and thinnest, so that lines upon each other are seen
			var points intervals
			for _, c := range r.Cells {
				if l.keep(c) && c.Contender == name && c.RoundTrip == 0 && c.Summary.N > 0 && !c.Summary.High.Never() && c.Summary.Low > 0 {
					points.XYs = append(points.XYs, plotter.XY{X: float64(c.Instances), Y: float64(c.Summary.P50)})
					points.YErrors = append(points.YErrors, struct{ Low, High float64 }{
						float64(c.Summary.P50 - c.Summary.Low), float64(c.Summary.High - c.Summary.P50),
					})
				}
			}
			if len(points.XYs) == 0 {
				continue
			}
			found = true
			line, dots, err := plotter.NewLinePoints(points)
			if err != nil {
				return nil, err
			}
			bars, err := plotter.NewYErrorBars(points)
			if err != nil {
				return nil, err
			}
			line.Color, line.Width = colours[name], vg.Points(1.5+1.2*float64(i))
			dots.Color, dots.Shape, dots.Radius = colours[name], draw.CircleGlyph{}, vg.Points(2.5+0.8*float64(i))
			bars.Color = colours[name]
			p.Add(line, dots, bars)
			legend = append(legend, func() { p.Legend.Add(name, line) })
		}
		for _, add := range slices.Backward(legend) {
			add()
		}
		if !found {
			return nil, nil
		}
		widen(&p.X)
		widen(&p.Y)
		return render(plotHeight, func(c draw.Canvas) { p.Draw(c) })
	}
}

// intervals are points with their errors.
type intervals struct {
	plotter.XYs
	plotter.YErrors
}

func render(height vg.Length, paint func(draw.Canvas)) ([]byte, error) {
	c := vgsvg.New(plotWidth, height)
	paint(draw.Crop(draw.New(c), vg.Points(6), -vg.Points(10), vg.Points(4), -vg.Points(4)))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return nil, err
	}
	return forDarkToo(b.Bytes()), nil
}

// dark is for readers whose page is dark: paper and ink change places, and grids stay faint. It wins over the colours that the elements name.
const dark = `<style>text { font-family: "Liberation Sans", Arial, Helvetica, sans-serif !important }
@media (prefers-color-scheme: dark) {
[style*="fill:#FFFFFF"] { fill: #0D1117 !important }
[style*="fill:#000000"], text { fill: #E6EDF3 !important }
[style*="stroke:#000000"] { stroke: #E6EDF3 !important }
[style*="stroke:#E1E1E1"] { stroke: #30363D !important }
[style*="fill:#DCDCDC"] { fill: #3A2F1B !important }
[style*="fill:#F0F0F0"] { fill: #22272E !important }
}</style>
`

// forDarkToo puts it behind the picture's first tag.
func forDarkToo(svg []byte) []byte {
	begin := bytes.Index(svg, []byte("<svg"))
	end := begin + bytes.IndexByte(svg[begin:], '>') + 1
	return slices.Concat(svg[:end], []byte("\n"+dark), svg[end:])
}

// colours tell contenders apart, also for who sees no red and green (Okabe and Ito).
var colours = map[string]color.Color{
	contender.Holdfast:       color.RGBA{0, 114, 178, 255},
	contender.Peer:           color.RGBA{213, 94, 0, 255},
	contender.CacheDiscovery: color.RGBA{230, 159, 0, 255},
	contender.Curator:        color.RGBA{0, 158, 115, 255},
	contender.DubboGo:        color.RGBA{86, 180, 233, 255},
	contender.Floor:          color.RGBA{120, 120, 120, 255},
	contender.BareFloor:      color.RGBA{204, 121, 167, 255},
}

// contenders in the order of legends.
var contenders = []string{
	contender.Holdfast, contender.Peer, contender.CacheDiscovery, contender.Curator, contender.DubboGo, contender.Floor, contender.BareFloor,
}

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
	p.Legend.Padding = 2
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{225}
	p.Add(grid)
	return p
}

// widen makes room around the values of a logarithmic axis.
func widen(a *plot.Axis) {
	a.Min, a.Max = a.Min/1.4, a.Max*1.4
}

// sizes marks the sizes that were measured.
func sizes(cells []result.Cell, keep func(result.Cell) bool) plot.Ticker {
	var ticks plot.ConstantTicks
	for _, c := range cells {
		if keep(c) {
			n := float64(c.Instances)
			ticks = append(ticks, plot.Tick{Value: n, Label: number(stats.Number(n), result.Count)})
		}
	}
	return ticks
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
