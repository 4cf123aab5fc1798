package selector

import "context"

// holder collects the picks of one call.
type holder struct{ picks []pick }

func (h *holder) add(p pick) { h.picks = append(h.picks, p) }

type holderKey struct{}

// holderOf returns the holder that ctx carries, or nil.
func holderOf(ctx context.Context) *holder {
	h, _ := ctx.Value(holderKey{}).(*holder)
	return h
}
