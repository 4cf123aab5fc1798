package probe

// keepSpace is for how many asks a line that has become empty keeps its memory.
const keepSpace = 64

// fifo is a line of asks, oldest first.
type fifo struct {
	asks []ask
	head int // of asks; those before were taken
}

func (f *fifo) len() int { return len(f.asks) - f.head }

func (f *fifo) push(a ask) { f.asks = append(f.asks, a) }

func (f *fifo) pop() (ask, bool) {
	if f.len() == 0 {
		return ask{}, false
	}
	a := f.asks[f.head]
	f.asks[f.head] = ask{}
	f.head++
	switch {
	case f.len() == 0 && cap(f.asks) > keepSpace: // a mass loss is rare
		*f = fifo{}
	case f.len() == 0:
		f.asks, f.head = f.asks[:0], 0
	case f.head > len(f.asks)/2: // each is moved once, on average
		f.keep(func(ask) bool { return true })
	}
	return a, true
}

// all takes all.
func (f *fifo) all() []ask {
	taken := f.asks[f.head:]
	*f = fifo{}
	return taken
}

// ended takes those whose context has ended.
func (f *fifo) ended() (taken []ask) {
	f.keep(func(a ask) bool {
		if a.ctx.Err() == nil {
			return true
		}
		taken = append(taken, a)
		return false
	})
	return taken
}

// keep drops those that ok does not want.
func (f *fifo) keep(ok func(ask) bool) {
	n := 0
	for _, a := range f.asks[f.head:] {
		if ok(a) {
			f.asks[n] = a
			n++
		}
	}
	clear(f.asks[n:])
	f.asks, f.head = f.asks[:n], 0
}
