package scenario

import (
	"cmp"

	"github.com/holdfast-go/holdfast/bench/internal/result"
)

// tally collects the cells of one contender under one condition, in the order in which their measures first came.
type tally struct {
	like  result.Cell // what all of them have in common
	cells []*result.Cell
}

// cell is the one of a measure.
func (t *tally) cell(measure string, unit result.Unit) *result.Cell {
	for _, c := range t.cells {
		if c.Measure == measure {
			return c
		}
	}
	c := t.like
	c.Measure, c.Unit = measure, unit
	t.cells = append(t.cells, &c)
	return &c
}

func (t *tally) add(measure string, unit result.Unit, v float64) { t.cell(measure, unit).Series.Add(v) }

// fail notes what a contender could not do.
func (t *tally) fail(measure string, unit result.Unit, err error) {
	c := t.cell(measure, unit)
	c.Series.Failed++
	c.Note = err.Error()
}

// take adds what another has.
func (t *tally) take(other *tally) {
	for _, o := range other.cells {
		c := t.cell(o.Measure, o.Unit)
		c.Series.Values = append(c.Series.Values, o.Series.Values...)
		c.Series.Never += o.Series.Never
		c.Series.Failed += o.Series.Failed
		c.Note = cmp.Or(o.Note, c.Note)
	}
}

func (e *Env) recordAll(t *tally) {
	for _, c := range t.cells {
		e.record(*c)
	}
}
