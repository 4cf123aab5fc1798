package drive

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/belief"
)

const (
	// PublishGap is the time between two deliveries. The first is delivered at once.
	PublishGap = 10 * time.Millisecond

	metricsGap = time.Second // between two deliveries of nothing but calls and connections
)

// Pace leaves a pause between two deliveries of what a belief shows. Its zero value has delivered nothing.
type Pace struct {
	delivered belief.Version
	at        time.Time // when the newest was delivered that differs
}

// Due reports whether what is shown now is to be delivered now. If it is not yet time, wake says when it will be.
func (p *Pace) Due(v belief.Version, now time.Time) (due bool, wake time.Time) {
	if v == p.delivered {
		return false, time.Time{}
	}
	gap := PublishGap
	if !p.Edited(v) {
		gap = metricsGap
	}
	if at := p.at.Add(gap); now.Before(at) {
		return false, at
	}
	return true, time.Time{}
}

// Delivered notes a delivery. differs says that its list is another than the one before.
func (p *Pace) Delivered(v belief.Version, differs bool, now time.Time) {
	if p.delivered = v; differs {
		p.at = now
	}
}

// Edited reports whether v differs from what was delivered last in more than calls and connections.
func (p *Pace) Edited(v belief.Version) bool { return v.Edits != p.delivered.Edits }

// Hurry makes the next delivery due at once.
func (p *Pace) Hurry() { p.at = time.Time{} }

// Is reports whether v is what was delivered last.
func (p *Pace) Is(v belief.Version) bool { return v == p.delivered }
