package report

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Progress tells a person how far a run is: by a bar on a terminal, by a line for each step elsewhere.
type Progress struct {
	w     io.Writer
	bar   *progressbar.ProgressBar // nil: lines
	steps int
	done  int
	began time.Time
}

// NewProgress begins. Close ends a bar's line.
func NewProgress(w io.Writer, steps int) *Progress {
	p := &Progress{w: w, steps: steps, began: time.Now()}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions(steps, progressbar.OptionSetWriter(w), progressbar.OptionFullWidth(),
			progressbar.OptionSetElapsedTime(true), progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish())
	}
	return p
}

// Step says what begins now; the step before is over.
func (p *Progress) Step(what string) {
	if p.bar == nil {
		_, _ = fmt.Fprintf(p.w, "%6.1f s  %d/%d  %s\n", time.Since(p.began).Seconds(), p.done+1, p.steps, what)
		p.done++
		return
	}
	if p.done > 0 {
		_ = p.bar.Add(1)
	}
	p.done++
	p.bar.Describe(what)
}

// Close clears the bar.
func (p *Progress) Close() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
