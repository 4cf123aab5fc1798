package serverplugin

import (
	"testing"
	"time"
)

func TestRegistrationSurvivesExpiry(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "weight=3")
		pass(time.Second)
		b.mustOwn(p, "weight=3")
		b.zk.ExpireAll()
		pass(time.Second)
		b.mustOwn(p, "weight=3")
		if p.Status().Sessions != 2 {
			t.Errorf("%+v", p.Status())
		}
		if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
		b.mustBeGone()
	})
}
