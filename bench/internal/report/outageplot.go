package report

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/scenario"
)

// drawOutage draws the share of failed calls over time, the contenders below each other, two clients each.
func drawOutage(r *result.Results, _ string) ([]byte, error) {
	var rows [][]*plot.Plot
	for _, name := range contenders {
		p := newPlot("", "", "failed calls, %")
		p.Y.Min, p.Y.Max = -4, 104
		p.Y.Tick.Marker = plot.ConstantTicks{{Value: 0, Label: "0"}, {Value: 50, Label: "50"}, {Value: 100, Label: "100"}}
		for i, s := range r.Spans {
			area, err := plotter.NewPolygon(plotter.XYs{
				{X: s.From.Seconds(), Y: -4}, {X: s.To.Seconds(), Y: -4}, {X: s.To.Seconds(), Y: 104}, {X: s.From.Seconds(), Y: 104},
			})
			if err != nil {
				return nil, err
			}
			area.Color = color.Gray{uint8(220 + 20*i)} //nolint:gosec // two spans
			area.Width = 0
			p.Add(area)
			if len(rows) == 0 {
				p.Legend.Add(s.Name, area)
			}
		}
		found := false
		for _, t := range r.Timelines {
			if t.Contender != name || len(t.Points) == 0 {
				continue
			}
			found = true
			line, err := plotter.NewLine(shares(t))
			if err != nil {
				return nil, err
			}
			line.StepStyle = plotter.PreStep
			line.Color, line.Width = colours[name], vg.Points(2.5)
			if t.Client == scenario.ClientMidst {
				line.Color, line.Width, line.Dashes = color.Black, vg.Points(1.2), []vg.Length{vg.Points(4), vg.Points(2)}
			}
			p.Add(line)
			p.Legend.Add(t.Client, line)
		}
		if !found {
			continue
		}
		p.Title.Text = name
		p.Legend.YOffs = -vg.Points(14) // below the line of 100 %
		p.Legend.Top, p.Legend.Left = true, true
		rows = append(rows, []*plot.Plot{p})
	}
	if len(rows) == 0 {
		return nil, nil
	}
	end := rows[0][0].X.Max
	for _, row := range rows {
		end = max(end, row[0].X.Max)
	}
	for _, row := range rows {
		row[0].X.Min, row[0].X.Max = 0, end
	}
	rows[len(rows)-1][0].X.Label.Text = "seconds"
	return render(vg.Length(len(rows))*5.5*vg.Centimeter, func(c draw.Canvas) {
		tiles := draw.Tiles{Rows: len(rows), Cols: 1, PadY: vg.Points(6)}
		for i, row := range plot.Align(rows, tiles, c) {
			rows[i][0].Draw(row[0])
		}
	})
}

// shares has each bin's share where the bin ends.
func shares(t result.Timeline) plotter.XYs {
	var points plotter.XYs
	for i, p := range t.Points {
		if p.OK+p.Failed == 0 {
			continue
		}
		end := p.At
		if i+1 < len(t.Points) {
			end = t.Points[i+1].At
		}
		points = append(points, plotter.XY{X: end.Seconds(), Y: 100 * float64(p.Failed) / float64(p.OK+p.Failed)})
	}
	return points
}
