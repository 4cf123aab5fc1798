package zkdiscovery

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	"github.com/smallnest/rpcx/client"
)

func pass(d time.Duration) { time.Sleep(d); synctest.Wait() }

func TestSmoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		zk := zktest.NewServer()
		defer zk.Close()
		zk.Put("/rpcx/Arith/tcp@127.0.0.1:1", []byte("weight=1"))
		d, err := New("/rpcx", "Arith", []string{"zk:2181"}, WithDialer(zk.Dial), WithCacheDir(t.TempDir()), WithCachePolling(),
			WithLogger(slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))))
		if err != nil {
			t.Fatal(err)
		}
		show := func() { t.Log(d.Snapshot(), d.Status()) }
		show()
		ch := d.WatchService()
		<-ch
		zk.Put("/rpcx/Arith/tcp@127.0.0.1:2", []byte("weight=2"))
		pass(0)
		show()
		zk.Set("/rpcx/Arith/tcp@127.0.0.1:2", []byte("weight=3"))
		pass(20*time.Millisecond)
		show()
		zk.Delete("/rpcx/Arith/tcp@127.0.0.1:1")
		pass(20*time.Millisecond)
		show()
		zk.Stop()
		pass(time.Second)
		show()
		pass(time.Hour)
		show()
		zk.Start()
		pass(10*time.Second)
		show()
		zk.ExpireAll()
		pass(10*time.Second)
		show()
		zk.Wipe()
		pass(30*time.Second)
		show()
		zk.Put("/rpcx/Arith/tcp@127.0.0.1:1", []byte("weight=1"))
		pass(time.Second)
		show()
		zk.Silence(true)
		pass(time.Minute)
		show()
		zk.Silence(false)
		pass(10*time.Second)
		show()
		d.Close()
		synctest.Wait()
		_ = client.KVPair{}
	})
}
