package selector

import (
	"context"
	"fmt"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/holdfast-go/holdfast/selector/internal/policy"
)

// call is what a server is chosen for.
type call struct {
	ctx                        context.Context //nolint:containedctx // it lives as long as the call of Select
	servicePath, serviceMethod string
	args                       any
}

type tagKey struct{}

// WithTag returns a context for calls that servers with tag=<tag> in their metadata are to answer, such as a canary. When none of them can be used,
// servers without a tag answer, unless the Selector was made with WithOnlyTagged. Calls without a tag go to servers without one while any of these can be
// used. An empty tag is none.
func WithTag(ctx context.Context, tag string) context.Context {
	return context.WithValue(ctx, tagKey{}, tag)
}

func tagOf(ctx context.Context) string {
	if ctx == nil {
		return ""
	}
	tag, _ := ctx.Value(tagKey{}).(string)
	return tag
}

// KeyFunc returns what ConsistentHash goes by: calls with the same key go to the same server.
type KeyFunc func(ctx context.Context, servicePath, serviceMethod string, args any) string

// callHash is the hash of a call's key. It is the same in every process.
func (s *Selector) callHash(c call) uint64 {
	if s.config.key != nil {
		if key, ok := callKey(s.config.key, c); ok {
			return xxhash.Sum64String(key)
		}
	}
	return argsHash(c.servicePath, c.serviceMethod, c.args)
}

// callKey calls the user's function. A panic in it would leave XClient's lock locked for ever.
func callKey(f KeyFunc, c call) (key string, ok bool) {
	defer func() { ok = recover() == nil && ok }()
	return f(c.ctx, c.servicePath, c.serviceMethod, c.args), true
}

// argsHash is the hash of what rpcx's consistent hash goes by: the path, the method and the arguments as fmt's %v prints them. The common kinds of
// arguments need no fmt.
func argsHash(servicePath, serviceMethod string, args any) uint64 {
	var room [256]byte
	key := append(room[:0], '/')
	key = append(key, servicePath...)
	key = append(key, '/')
	key = append(key, serviceMethod...)
	key = append(key, '/')
	switch a := args.(type) {
	case nil:
	case string:
		key = append(key, a...)
	case []byte: // SendRaw's payload, which may be large
		return policy.Mix(xxhash.Sum64(key) ^ xxhash.Sum64(a))
	case int:
		key = strconv.AppendInt(key, int64(a), 10)
	case int64:
		key = strconv.AppendInt(key, a, 10)
	case uint64:
		key = strconv.AppendUint(key, a, 10)
	default:
		key = fmt.Append(key, a)
	}
	return xxhash.Sum64(key)
}
