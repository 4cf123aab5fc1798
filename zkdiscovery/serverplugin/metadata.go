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

// compose is what a node is to say: a service's metadata, with the metrics and state=inactive where they are wanted. What is not a URL query is
// left as it is.
func compose(metadata string, metrics []param, inactive bool) string {
	if len(metrics) == 0 && !inactive || !validQuery(metadata) {
		return metadata
	}
	if inactive {
		metrics = append(slices.Clip(metrics), param{"state", "inactive"})
	}
	return with(metadata, metrics)
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
