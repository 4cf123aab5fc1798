package serverplugin

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestSetMetadataIsNoClaim(t *testing.T) {
	inBubble(t, func(b bubble) {
		old := b.plugin()
		if err := errors.Join(old.SetMetadata("Arith", "a"), old.ClearOperator("Arith")); !errors.Is(err, ErrNotRegistered) {
			b.Errorf("before Register: %v", err)
		}
		b.register(old, "Arith", "weight=1")
		pass(time.Second)
		must(b, old.SetMetadata("/Arith/", "weight=2"))
		if !old.Registered() {
			b.Error("SetMetadata has ended the registration")
		}
		pass(time.Second)
		b.mustOwn(old, "weight=2")
		p := b.plugin()
		b.register(p, "Arith", "weight=3")
		pass(time.Second)
		must(b, old.SetMetadata("Arith", "weight=4"))
		pass(time.Minute)
		b.mustOwn(p, "weight=3")
		must(b, p.Stop())
		pass(time.Second)
		b.mustOwn(old, "weight=4")
		if err := old.SetMetadata("Arith", strings.Repeat("x", maxMetadata+1)); err == nil {
			b.Error("metadata that are too long")
		}
		must(b, old.Unregister("Arith"))
		if err := old.SetMetadata("Arith", "a"); !errors.Is(err, ErrNotRegistered) {
			b.Errorf("after Unregister: %v", err)
		}
		must(b, old.Stop())
		if err := errors.Join(old.SetMetadata("Arith", "a"), old.ClearOperator("Arith")); !errors.Is(err, ErrStopped) {
			b.Errorf("after Stop: %v", err)
		}
	})
}
