package lists

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// Bad input is an error at construction that names each value and the rule that it breaks, and nothing is started.
func TestBadInputIsRefusedWithEveryMistakeAndNothingIsStarted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	harness.Must(t, os.WriteFile(file, nil, 0o600))
	good := []string{"127.0.0.1:2181"}
	for name, input := range map[string]struct {
		base, service string
		servers       []string
		opts          []zkdiscovery.Option
		wants         []string // parts of the error: the value, and the rule
	}{
		"no servers":            {"/rpcx", "Arith", nil, nil, []string{"servers", "at least one"}},
		"empty server":          {"/rpcx", "Arith", []string{"a:1", ""}, nil, []string{`""`, "host:port"}},
		"no port":               {"/rpcx", "Arith", []string{"zk1"}, nil, []string{`"zk1"`, "no port"}},
		"port out of range":     {"/rpcx", "Arith", []string{"zk1:65536"}, nil, []string{`"65536"`, "65535"}},
		"port is a name":        {"/rpcx", "Arith", []string{"zk1:zookeeper"}, nil, []string{`"zookeeper"`, "65535"}},
		"no host":               {"/rpcx", "Arith", []string{":2181"}, nil, []string{`":2181"`, "host"}},
		"bare IPv6":             {"/rpcx", "Arith", []string{"::1:2181"}, nil, []string{`"::1:2181"`, "brackets"}},
		"a scheme":              {"/rpcx", "Arith", []string{"zk://a:2181"}, nil, []string{`"zk://a:2181"`, "scheme"}},
		"a connect string":      {"/rpcx", "Arith", []string{"a:1,b:1"}, nil, []string{`"a:1,b:1"`, "one entry per server"}},
		"chroot in the middle":  {"/rpcx", "Arith", []string{"a:1/x", "b:1"}, nil, []string{`"a:1/x"`, "last"}},
		"bad chroot":            {"/rpcx", "Arith", []string{"a:1/x//y"}, nil, []string{`"/x//y"`, "//"}},
		"empty base":            {"", "Arith", good, nil, []string{`base path ""`, "empty"}},
		"base with ..":          {"/rpcx/../x", "Arith", good, nil, []string{`"/rpcx/../x"`, ".."}},
		"base with //":          {"/rpcx//x", "Arith", good, nil, []string{`"/rpcx//x"`, "//"}},
		"base of slashes":       {"//", "Arith", good, nil, []string{`base path "//"`, "//"}},
		"base with a control":   {"/rpcx\x01", "Arith", good, nil, []string{`"/rpcx\x01"`, "U+0001"}},
		"empty service":         {"/rpcx", "", good, nil, []string{`service path ""`, "empty"}},
		"service of slashes":    {"/rpcx", "//", good, nil, []string{`"//"`, "empty"}},
		"service behind //":     {"/rpcx", "//Arith", good, nil, []string{`"//Arith"`, "(//)"}},
		"service with .":        {"/rpcx", "a/./b", good, nil, []string{`"a/./b"`, "(.)"}},
		"service with a null":   {"/rpcx", "a\x00b", good, nil, []string{`"a\x00b"`, "U+0000"}},
		"no directory":          {"/rpcx", "Arith", good, []zkdiscovery.Option{zkdiscovery.WithCacheDir("")}, []string{`WithCacheDir("")`, "directory"}},
		"directory is a file":   {"/rpcx", "Arith", good, []zkdiscovery.Option{zkdiscovery.WithCacheDir(file)}, []string{file, "not a directory"}},
		"negative age":          {"/rpcx", "Arith", good, []zkdiscovery.Option{zkdiscovery.WithMaxCacheAge(-1)}, []string{"WithMaxCacheAge(-1ns)", "negative"}},
		"negative start":        {"/rpcx", "Arith", good, []zkdiscovery.Option{zkdiscovery.WithStartTimeout(-time.Second)}, []string{"WithStartTimeout(-1s)", "positive"}},
		"short session":         {"/rpcx", "Arith", good, []zkdiscovery.Option{zkdiscovery.WithSessionTimeout(time.Millisecond)}, []string{"WithSessionTimeout(1ms)", "100ms"}},
		"negative session":      {"/rpcx", "Arith", good, []zkdiscovery.Option{zkdiscovery.WithSessionTimeout(-time.Second)}, []string{"WithSessionTimeout(-1s)", "100ms"}},
		"nameless ensemble":     {"/rpcx", "Arith", good, []zkdiscovery.Option{zkdiscovery.WithEnsembleName("")}, []string{`WithEnsembleName("")`, "name"}},
		"auth without a scheme": {"/rpcx", "Arith", good, []zkdiscovery.Option{zkdiscovery.WithAuth("", []byte("secret"))}, []string{`WithAuth("", …)`, "scheme"}},
		"nil TLS":               {"/rpcx", "Arith", good, []zkdiscovery.Option{zkdiscovery.WithTLS(nil)}, []string{"WithTLS(nil)"}},
		"nil dialer":            {"/rpcx", "Arith", good, []zkdiscovery.Option{zkdiscovery.WithDialer(nil)}, []string{"WithDialer(nil)"}},
		"nil logger":            {"/rpcx", "Arith", good, []zkdiscovery.Option{zkdiscovery.WithLogger(nil)}, []string{"WithLogger(nil)"}},
		"cache and none": {
			"/rpcx", "Arith", good,
			[]zkdiscovery.Option{zkdiscovery.WithoutCache(), zkdiscovery.WithCacheDir("/tmp/x"), zkdiscovery.WithMaxCacheAge(time.Hour)},
			[]string{`WithCacheDir("/tmp/x")`, "WithMaxCacheAge(1h0m0s)", "WithoutCache contradicts"},
		},
		"guard and none": {
			"/rpcx", "Arith", good,
			[]zkdiscovery.Option{zkdiscovery.WithoutGuard(), zkdiscovery.WithGuard(zkdiscovery.Guard{})},
			[]string{"WithoutGuard", "contradicts"},
		},
		"everything at once": {
			"/a//b", "..",
			[]string{"zk1", "x://y:1", "a:1/c/"},
			[]zkdiscovery.Option{
				zkdiscovery.WithCacheDir(file), zkdiscovery.WithStartTimeout(0), zkdiscovery.WithSessionTimeout(-time.Second), zkdiscovery.WithTLS(nil),
			},
			[]string{`"/a//b"`, `".."`, `"zk1"`, `"x://y:1"`, `"/c/"`, file, "WithStartTimeout(0s)", "WithSessionTimeout(-1s)", "WithTLS(nil)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var dialled atomic.Int64
			opts := append([]zkdiscovery.Option{zkdiscovery.WithDialer(func(context.Context, string, string) (net.Conn, error) {
				dialled.Add(1)
				return nil, net.ErrClosed
			})}, input.opts...)
			d, err := zkdiscovery.New(input.base, input.service, input.servers, opts...)
			if err == nil {
				d.Close()
				t.Fatal("accepted")
			}
			if d != nil {
				t.Error("an error and a Discovery")
			}
			for _, want := range input.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %s:\n%v", want, err)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells a secret: %v", err)
			}
			if strings.Contains(name, "service") { // a template has none; a clone is inert rather than an error
				template, err := zkdiscovery.NewTemplate(input.base, input.servers, append(opts, zkdiscovery.WithoutCache())...)
				harness.Must(t, err)
				c, err := template.Clone(input.service)
				if err != nil || len(c.GetServices()) > 0 {
					t.Errorf("Clone returned %v, %v", c.GetServices(), err)
				}
				if st := c.(*zkdiscovery.Discovery).Status(); st.LastErr == nil || !strings.Contains(st.LastErr.Error(), input.wants[0]) {
					t.Errorf("the clone's status does not say why it is inert: %v", st.LastErr)
				}
				template.Close()
			} else if d, err := zkdiscovery.NewTemplate(input.base, input.servers, opts...); err == nil {
				d.Close()
				t.Error("accepted for a template")
			}
			if n := dialled.Load(); n > 0 && !strings.Contains(name, "service") {
				t.Errorf("%d connections were tried", n)
			}
			harness.WithoutZooKeeper(t).NothingLeft()
		})
	}
}

func TestPathsMayBeWrittenAsPeopleWriteThem(t *testing.T) {
	harness.Everywhere(t, func(t *harness.World) {
		t.Put(t.Base+"/a/b/Arith.v2/"+harness.Instance(0), "n=0")
		want := map[string]string{harness.Instance(0): "n=0"}
		for _, x := range []struct{ base, service string }{
			{t.Base + "/a/b", "Arith.v2"},
			{t.Base + "/a/b/", "/Arith.v2/"},
			{strings.TrimPrefix(t.Base, "/") + "/a", "b/Arith.v2"},
			{"/", t.Base + "/a/b/Arith.v2"},
		} {
			d, err := zkdiscovery.New(x.base, x.service, t.Servers(), t.Common()...)
			harness.Must(t, err)
			t.Lists(d, want)
			if got := d.Snapshot().Service; got != t.Base+"/a/b/Arith.v2" {
				t.Errorf("the service's path is %s", got)
			}
			d.Close()
		}
		rooted := t.Servers()
		rooted[len(rooted)-1] += t.Base + "/a" // a chroot
		d, err := zkdiscovery.New("b", "Arith.v2", rooted, t.Common()...)
		harness.Must(t, err)
		defer d.Close()
		t.Lists(d, want)
		t.Set(t.Base+"/a/b/Arith.v2/"+harness.Instance(0), "n=1")
		t.Put(t.Base+"/a/b/Arith.v2/"+harness.Instance(1), "n=1")
		t.Eventually("changes below a chroot arrive", func() bool {
			return len(d.GetServices()) == 2 && harness.Listed(d.GetServices())[harness.Instance(0)] == "n=1"
		})
		if got := d.Snapshot().Service; got != "/b/Arith.v2" {
			t.Errorf("the service's path, below the chroot, is %s", got)
		}
		c := t.Clone(d, "not/yet")
		t.Put(t.Base+"/a/b/not/yet/"+harness.Instance(0), "n=0")
		t.Eventually("a service that appears below a chroot is seen", func() bool { return len(c.GetServices()) == 1 })
	})
}
