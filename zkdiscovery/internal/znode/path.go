package znode

import (
	"errors"
	"fmt"
	"strings"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// BasePath brings a base path, which may or may not begin and end with a slash, to the form "/a/b"; that of the root is "".
func BasePath(base string) (string, error) {
	if base == "" {
		return "", errors.New(`base path "": is empty; "/" stands for the root`)
	}
	p := strings.TrimSuffix(base, "/")
	if p == "" {
		return "", nil
	}
	if p[0] != '/' {
		p = "/" + p
	}
	if why := mistake(p); why != "" {
		return "", fmt.Errorf("base path %q: %s", base, why)
	}
	return p, nil
}

// mistake says what is wrong with the path of a node below which others are to stand. Asked so, a slash too many at its end is one of two in a
// row, as it is anywhere else.
func mistake(path string) string { return session.PathMistake(path + "/child") }

// ServicePath is the znode path of a service below base, which [BasePath] has returned. A service's name may have slashes, and begin and end
// with one.
func ServicePath(base, service string) (string, error) {
	name := strings.TrimSuffix(strings.TrimPrefix(service, "/"), "/")
	p := base + "/" + name
	if strings.TrimSpace(name) == "" {
		return p, fmt.Errorf("service path %q: is empty", service)
	}
	if why := mistake(p); why != "" {
		return p, fmt.Errorf("service path %q: %s", service, why)
	}
	return p, nil
}
