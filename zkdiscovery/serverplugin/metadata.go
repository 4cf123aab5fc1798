package serverplugin

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/rcrowley/go-metrics"
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

// compose makes the data.
func (w *wish) compose() {
	w.data = compose(w.order.metadata, w.extra)
}

// compose is what a node is to say: a service's metadata, with what is beside them. What is not a URL query is left as it is.
func compose(metadata string, x *extra) string {
	if len(x.params) == 0 && !x.inactive || !validQuery(metadata) {
		return metadata
	}
	params := x.params
	if x.inactive {
		params = append(slices.Clip(params), param{"state", "inactive"})
	}
	return with(metadata, params)
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
	return err == nil && v.Get("state") == "inactive"
}

// validQuery reports whether rpcx can read metadata.
func validQuery(metadata string) bool {
	_, err := url.ParseQuery(metadata)
	return err == nil
}

// readMetrics reads what rpcx-zookeeper publishes, as it writes it.
func readMetrics(r metrics.Registry) []param {
	params := make([]param, 0, 2)
	for _, name := range [...]string{"calls", "connections"} {
		params = append(params, param{name, fmt.Sprintf("%.2f", metrics.GetOrRegisterMeter(name, r).RateMean())})
	}
	return params
}
