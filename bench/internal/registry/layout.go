package registry

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
)

// Layout is how the instances of a service stand in ZooKeeper.
type Layout interface {
	// Dir is the node below which they stand, seen from the base.
	Dir(service string) string
	// Node is an instance's node.
	Node(service, key, metadata string) (name string, data []byte)
	// Instance is what a node says.
	Instance(name string, data []byte) (key, metadata string, err error)
}

// LayoutOf is the layout that a contender reads.
func LayoutOf(name string) Layout {
	if name == contender.DubboGo {
		return Dubbo{}
	}
	return RPCX{}
}

// RPCX names a node by the key. The metadata is the node's data.
type RPCX struct{}

// Dir is the service's own node.
func (RPCX) Dir(service string) string { return service }

// Node is named by the key.
func (RPCX) Node(_, key, metadata string) (name string, data []byte) { return key, []byte(metadata) }

// Instance never fails.
func (RPCX) Instance(name string, data []byte) (key, metadata string, err error) {
	return name, string(data), nil
}

// Dubbo names a node by a URL that says everything, escaped. So an instance whose metadata changes gets another node. The service is the interface.
type Dubbo struct{}

// The parameters of a provider's URL.
const (
	interfaceParameter = "interface"
	// MetadataParameter has the whole of an instance's metadata: its parts would be Dubbo's own parameters, such as group, which is a part of the
	// service's name there.
	MetadataParameter = "instance.metadata"
)

// Network begins every key of an instance in Dubbo's layout, which does not say it.
const Network = "tcp@"

// Dir is where the providers of an interface are.
func (Dubbo) Dir(service string) string { return url.QueryEscape(service) + "/providers" }

// Node has no data, as with dubbo-go's own providers.
func (Dubbo) Node(service, key, metadata string) (name string, data []byte) {
	u := url.URL{
		Scheme: "dubbo", Host: strings.TrimPrefix(key, Network), Path: "/" + service,
		RawQuery: url.Values{interfaceParameter: {service}, MetadataParameter: {metadata}}.Encode(),
	}
	return url.QueryEscape(u.String()), nil
}

// Instance reads the URL.
func (Dubbo) Instance(name string, _ []byte) (key, metadata string, err error) {
	text, err := url.QueryUnescape(name)
	if err != nil {
		return "", "", err
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", "", err
	}
	if u.Scheme != "dubbo" || u.Host == "" {
		return "", "", errors.New("no provider's URL: " + text)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", text, err)
	}
	return Network + u.Host, query.Get(MetadataParameter), nil
}
