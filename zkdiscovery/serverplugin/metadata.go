package serverplugin

import (
	"maps"
	"net/url"
	"slices"
	"strings"
)

// What rpcx's clients read: a server whose state is inactive is not called.
const (
	stateKey      = "state"
	inactiveState = "inactive"
)

// What the plugin adds.
const (
	callsKey       = "calls"
	connectionsKey = "connections"
	startedKey     = "started"
)

// param is one key and its value in a URL query.
type param struct{ key, value string }

// extra is what stands in every node beside its metadata. It never changes: another one takes its place.
type extra struct {
	params   []param // metrics
	inactive bool    // the program says so
}

func (x *extra) equal(o *extra) bool {
	return x.inactive == o.inactive && slices.Equal(x.params, o.params)
}

// compose makes the data. Where an operator has written the same in other words, it is left in his: what the node says does not change then.
func (w *wish) compose() {
	w.data = compose(w.order.metadata, w.extra, w.words)
	if w.words != nil && sameQuery(w.like, w.data) {
		w.data = w.like
	}
}

// compose is what a node is to say: a service's metadata, with what is beside them, and an operator's words over them. What is not a URL query
// is left as it is.
func compose(metadata string, x *extra, l *layer) string {
	params := slices.Concat(x.params, l.params())
	if x.inactive && l.of(stateKey) == nil {
		params = append(params, param{stateKey, inactiveState})
	}
	if len(params) == 0 || !validQuery(metadata) {
		return metadata
	}
	return with(metadata, params)
}

// sameQuery reports whether two texts are queries that say the same of every key.
func sameQuery(a, b string) bool {
	if a == b {
		return true
	}
	va, err := url.ParseQuery(a)
	vb, no := url.ParseQuery(b)
	return err == nil && no == nil && maps.EqualFunc(va, vb, slices.Equal)
}

// with puts params into a valid query, in the place of those with the same keys; the rest of it stays as it was written.
func with(query string, params []param) string {
	var parts []string
	for part := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(part, "=")
		key, err := url.QueryUnescape(key)
		if part != "" && (err != nil || !slices.ContainsFunc(params, func(p param) bool { return p.key == key })) {
			parts = append(parts, part)
		}
	}
	for _, p := range params {
		parts = append(parts, p.key+"="+url.QueryEscape(p.value))
	}
	return strings.Join(parts, "&")
}

// inactive reports whether data say so.
func inactive(data string) bool {
	v, err := url.ParseQuery(data)
	return err == nil && v.Get(stateKey) == inactiveState
}

// validQuery reports whether rpcx can read metadata.
func validQuery(metadata string) bool {
	_, err := url.ParseQuery(metadata)
	return err == nil
}
