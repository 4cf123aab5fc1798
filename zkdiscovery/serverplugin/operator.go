package serverplugin

import (
	"cmp"
	"net/url"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/words"
)

// Word is what an operator has said of one key: somebody else's write into a node of ours. See WithOperator.
type Word struct {
	Key     string
	Values  []string  // in the place of the registered ones; a query may have several of one key
	Version int32     // the node's, after the write
	Time    time.Time // of the write, by ZooKeeper's clock
}

// MarshalJSON writes Word as Status.MarshalJSON writes a Status.
func (w Word) MarshalJSON() ([]byte, error) { return words.JSON(w) }

// layer is what operators have said and is in force, sorted by key. It never changes: another one takes its place. nil is nothing.
type layer struct{ words []Word }

// of returns the values of a key, nil if nobody has said anything.
func (l *layer) of(key string) []string {
	if l != nil {
		for _, w := range l.words {
			if w.Key == key {
				return w.Values
			}
		}
	}
	return nil
}

// without is a layer without the word on a key.
func (l *layer) without(key string) *layer {
	if l.of(key) == nil {
		return l
	}
	rest := slices.DeleteFunc(slices.Clone(l.words), func(w Word) bool { return w.Key == key })
	if len(rest) == 0 {
		return nil
	}
	return &layer{rest}
}

// with is a layer with a word, which ends the one on the same key.
func (l *layer) with(w Word) *layer {
	if slices.Equal(l.of(w.Key), w.Values) {
		return l
	}
	all := []Word{w}
	if l = l.without(w.Key); l != nil {
		all = append(all, l.words...)
	}
	slices.SortFunc(all, func(a, b Word) int { return cmp.Compare(a.Key, b.Key) })
	return &layer{all}
}

// params is the layer as a part of a query.
func (l *layer) params() (all []param) {
	if l == nil {
		return nil
	}
	for _, w := range l.words {
		for _, v := range w.Values {
			all = append(all, param{w.Key, v})
		}
	}
	return all
}

// own is what the node that is ours has said, in the session that is: what this process has written, or somebody else after it. It tells somebody
// else's next write from that, and from an older state of the node: that of a server that lags, or of a backup that was restored.
type own struct {
	texts   []string // the last one. Where an answer was lost: each that may be it
	czxid   int64    // 0: it was not looked at since it was made
	version int32
	mzxid   int64 // of the newest look
}

// mayHave notes a write whose answer was lost.
func (o *own) mayHave(data string) {
	if !slices.Contains(o.texts, data) {
		o.texts = append(slices.Clip(o.texts), data)
	}
}

// sees notes what stands there, and reports whether somebody else has written it since.
func (o *own) sees(f sight) (byHand bool) {
	newer := (o.czxid == 0 || o.czxid == f.czxid) && f.version > o.version && f.mzxid > o.mzxid
	known := slices.Contains(o.texts, f.data)
	byHand = newer && len(o.texts) > 0 && (!known || len(o.texts) == 1)
	if known || byHand {
		o.texts = []string{f.data}
	}
	o.czxid, o.version, o.mzxid = f.czxid, f.version, max(o.mzxid, f.mzxid)
	return byHand
}

// heed takes what an operator has said: f is what somebody else wrote into the node, which said one of before until then.
//
// A key is the operator's when its value differs from what stood there and from what is registered. To remove the key, or to write
// the registered value, ends the word; on state, any value but inactive does.
func (w *wish) heed(f sight, before []string) {
	registered, err := url.ParseQuery(w.order.metadata)
	said, no := url.ParseQuery(f.data)
	if err != nil || no != nil {
		return // there is no layer over the one, and no key in the other
	}
	for _, key := range w.keys {
		switch v := said[key]; {
		case len(v) == 0, slices.Equal(v, registered[key]), key == stateKey && said.Get(key) != inactiveState:
			w.words = w.words.without(key)
		case !slices.ContainsFunc(before, func(text string) bool { return slices.Equal(v, values(text, key)) }):
			w.words = w.words.with(Word{Key: key, Values: v, Version: f.version, Time: f.mtime})
		}
	}
	w.like = f.data
	w.compose()
}

// values returns those of a key in a query, none if it is no query.
func values(query, key string) []string {
	v, err := url.ParseQuery(query)
	if err != nil {
		return nil
	}
	return v[key]
}
