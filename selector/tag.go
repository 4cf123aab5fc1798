package selector

import "context"

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
