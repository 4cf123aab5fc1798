package mirror

import "net/url"

// An instance is a child of the service path. Its data, the metadata, is a URL query.

// validMetadata reports whether rpcx can read it. XClient takes an instance whose metadata it cannot parse as it is: neither state=inactive
// nor group= in it count.
func validMetadata(value string) bool {
	_, err := url.ParseQuery(value)
	return err == nil
}

// onlyMetrics reports whether two values differ in nothing but calls and connections, which rpcx's server plugins rewrite all the time.
func onlyMetrics(was, is string) bool {
	if was == is {
		return true
	}
	a, err := url.ParseQuery(was)
	if err != nil {
		return false
	}
	b, err := url.ParseQuery(is)
	if err != nil {
		return false
	}
	for _, k := range [...]string{"calls", "connections"} {
		a.Del(k)
		b.Del(k)
	}
	return a.Encode() == b.Encode()
}
