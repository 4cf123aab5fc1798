package zkdiscovery

import (
	"log/slog"
	"testing"
	"time"

	"github.com/rpcxio/libkv/store"

	"github.com/holdfast-go/holdfast/internal/logs/logstest"
)

// V3: a program that changed its import only could give no logger, and heard nothing.
func TestWithoutALoggerWarningsGoToTheProgramsDefault(t *testing.T) {
	dial := func(w *world) Option { return WithDialer(w.zk.Dial) }
	for name, open := range map[string]func(w *world) (*Discovery, error){
		"New": func(w *world) (*Discovery, error) {
			return New("/rpcx", "Arith", []string{"zk:2181"}, dial(w), WithoutCache(), probesAnswer())
		},
		"NewTemplate": func(w *world) (*Discovery, error) {
			d, err := NewTemplate("/rpcx", []string{"zk:2181"}, dial(w), WithoutCache(), probesAnswer())
			if err == nil {
				w.clone(d, "Arith").WatchService()
			}
			return d, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.put("Arith", "tcp@a:1", "%zz") // no URL query: Warn
				lines := logstest.Default(t)
				d, err := open(w)
				w.do(err)
				defer d.Close()
				pass(time.Minute)
				w.zk.Stop()
				pass(time.Minute)
				lines.WantOnly(t, `msg="metadata is not a URL query`)
				lines.WantOnly(t, `msg="connection to ZooKeeper lost"`)
			})
		})
	}
}

func TestALoggerThatDiscardsIsSilence(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "%zz") // no URL query: Warn
		lines := logstest.Default(t)
		d, err := New("/rpcx", "Arith", []string{"zk:2181"}, WithDialer(w.zk.Dial), WithoutCache(), probesAnswer(), WithLogger(slog.New(slog.DiscardHandler)))
		w.do(err)
		defer d.Close()
		pass(time.Minute)
		w.zk.Stop()
		pass(time.Minute)
		if said := lines.With(); len(said) > 0 {
			t.Errorf("%q", said)
		}
	})
}

// The constructors of rpcx-zookeeper's names take no logger.
func TestThePeersConstructorsLogToTheProgramsDefault(t *testing.T) {
	lines := logstest.Default(t)
	d, err := NewZookeeperDiscoveryTemplate("/rpcx", []string{"127.0.0.1:1"}, &store.Config{})
	if err != nil {
		t.Fatal(err)
	}
	d.root.cfg.log.Warn("something")
	d.Close()
	lines.WantOnly(t, "msg=something")
}
