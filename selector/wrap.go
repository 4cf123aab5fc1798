package selector

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"
	"github.com/smallnest/rpcx/share"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// Wrap makes s the selector of xc and returns an XClient that is to be used in its place: it tells s what became of every call, as far as rpcx
// lets it know (see Modes, below). Wrap xc before its first call; give xc the select mode client.SelectByUser, since the
// selector of any other is made for nothing. NewXClient does both at once.
//
// One Selector serves all XClients of one service; those of different services need one each. Closing what Wrap returns closes xc, ends what
// Wrap has started, and leaves s open.
//
// What is different from xc itself: SetPlugins may be called at any time, also with nil. In the mode Failbackup, two failures are an error (in
// rpcx they can be a nil error with an empty reply), a server that cannot be reached is no answer while the other has not answered, and the backup
// goes out at once when the first fails. SendRaw returns the last attempt's error when all have failed (rpcx: three nils). Retries and backups have a
// budget (WithRetryBudget). SetSelector and ConfigGeoSelector replace s, without which the XClient goes on. A share.Context is read, not written to:
// what plugins put into it is seen by plugins only.
//
// Wrap reads the fail mode and some options from inside xc. It cannot when xc is not rpcx's own; then it warns, and xc is taken for one that fails
// fast. WrapAs is told them. Wrap panics when xc or s is nil.
//
// # Several XClients
//
// XClients of one service may share a Selector, and share what is known of the servers. Of those that share a list, because they have the same
// Option.Group, one leads: its list is the Selector's. When it is closed or given another selector, the XClient that has received a list last leads.
// XClients of different groups each call the servers of their own list.
//
// # Modes
//
// What became of a call is told by the XClient that Wrap returns, and by those of NewXClient, XClientPool, OneClient and OneClientPool, which stand in for
// rpcx's, whose own XClients nobody can reach. An attempt ends in one of six ways: it was not sent, which says nothing; it was written, where no answer is
// expected; it was given up, and the server takes at least that long; it failed; it was answered; or the service refused it with an error. rpcx v1.9.4
// does not let the wrapper know everything; each line is a test.
//
//   - Call in the modes Failfast and Failover, and SendRaw: every pick with its outcome and latency. A dial that failed is told at once, and its
//     pick was not sent. So was that of Failover's last Select, whose server rpcx does not call.
//   - Call in the mode Failtry: one pick, and the outcome of every attempt at its server.
//   - Call in the mode Failbackup: both picks with their outcomes, also that of the request that lost, until the deadline or for a minute. The
//     wrapper makes both requests itself.
//   - Go: the pick with its outcome. The context does not end the request, but the pick is given up with it.
//   - Oneshot, and a Call, Go or SendRaw that asks for no reply: the pick was written. Failures to dial are told, and those to write, but for Oneshot's.
//   - Broadcast and Fork: no pick. Dial failures, and connections that end.
//   - Inform: no pick. Every server's outcome and latency when all have answered. Not those of servers that have one address on two networks; none at
//     all without a reply, or with one that has no size (a *struct{}).
//   - A sticky XClient (Option.Sticky): only the first call selects. The outcomes of the others are told of the server that it keeps, without a
//     count of those in flight.
//   - Stream, SendFile and DownloadFile: the call that they begin with, as in the XClient's mode, but for Failbackup: there only dial failures, and
//     no budget. What follows on another connection is not seen.
//
// A call whose arguments cannot be encoded, that a plugin or a breaker refuses, or whose deadline had passed, was not sent. One whose connection this side has
// closed was given up.
func Wrap(xc client.XClient, s *Selector) client.XClient {
	return wrap(xc, s, settingsOf(xc))
}

// WrapAs is Wrap for an XClient that was made with a fail mode and an option that Wrap cannot see, because somebody has wrapped it before.
func WrapAs(xc client.XClient, s *Selector, failMode client.FailMode, option client.Option) client.XClient {
	return wrap(xc, s, settings{true, failMode, option})
}

// NewXClient is client.NewXClient with the selector s, wrapped as Wrap does it. s stays the caller's to close. It panics when discovery or s is nil.
func NewXClient(servicePath string, failMode client.FailMode, discovery client.ServiceDiscovery, option client.Option, s *Selector) client.XClient {
	return NewBidirectionalXClient(servicePath, failMode, discovery, option, s, nil)
}

// NewBidirectionalXClient is NewXClient for an XClient that receives messages of the servers'.
func NewBidirectionalXClient(servicePath string, failMode client.FailMode, discovery client.ServiceDiscovery, option client.Option, s *Selector,
	serverMessages chan<- *protocol.Message,
) client.XClient {
	if discovery == nil {
		panic("selector: an XClient needs a ServiceDiscovery, not nil")
	}
	if s == nil {
		panic("selector: an XClient needs a Selector, not nil: make one with New")
	}
	xc := client.NewBidirectionalXClient(servicePath, failMode, client.SelectByUser, discovery, option, serverMessages) // nil: no messages, as NewXClient's
	return wrap(xc, s, settings{true, failMode, option})
}

// xclient is a wrapped XClient.
type xclient struct {
	client.XClient
	settings
	s       *Selector
	view    *view
	plugins *plugins
	stuck   atomic.Value // a string, of a sticky XClient: the server that it keeps

	ending  atomic.Bool   // Close has begun: connections end because of it
	ended   chan struct{} // closed by Close when xc is: what is still under way is given up
	flights sync.WaitGroup

	mu     sync.Mutex
	closed bool // no flight is begun any more
}

func wrap(xc client.XClient, s *Selector, of settings) *xclient {
	if xc == nil {
		panic("selector: Wrap needs an XClient, not nil")
	}
	if s == nil {
		panic("selector: Wrap needs a Selector, not nil: make one with New")
	}
	if !of.known {
		s.config.log.Warn("this XClient is not rpcx's own, so its fail mode and options are not known; use WrapAs", slog.String("type", fmt.Sprintf("%T", xc)))
	}
	x := &xclient{XClient: xc, settings: of, s: s, view: s.newView(of), ended: make(chan struct{})}
	x.plugins = &plugins{x: x}
	x.plugins.set(xc.GetPlugins())
	xc.SetPlugins(x.plugins)
	xc.SetSelector(x.view)
	return x
}

// SetPlugins makes p the user's plugins, from now on and for connections that exist, too.
func (x *xclient) SetPlugins(p client.PluginContainer) { x.plugins.set(p) }

// GetPlugins returns the user's plugins.
func (x *xclient) GetPlugins() client.PluginContainer { return x.plugins.get() }

// SetSelector is XClient's. The lists of an XClient that has another selector count here no more.
func (x *xclient) SetSelector(s client.Selector) {
	x.XClient.SetSelector(s)
	x.view.close()
}

// ConfigGeoSelector is XClient's, and SetSelector for rpcx's own.
func (x *xclient) ConfigGeoSelector(latitude, longitude float64) {
	x.XClient.ConfigGeoSelector(latitude, longitude)
	x.view.close()
}

func (x *xclient) Call(ctx context.Context, serviceMethod string, args, reply any) (err error) {
	if x.failMode == client.Failbackup {
		return x.callWithBackup(ctx, serviceMethod, args, reply)
	}
	h := x.holder(ctx, reply == nil) // rpcx asks for no answer where there is no room for one
	defer func() { h.ended(err) }()
	return x.XClient.Call(h, serviceMethod, args, reply)
}

func (x *xclient) Oneshot(ctx context.Context, serviceMethod string, args any) (err error) {
	h := x.holder(ctx, true)
	defer func() {
		if err == nil { // rpcx says nothing of a request that cannot be written
			h.pick.begin(x.s.now())
			h.pick.done(health.Written, 0)
		}
		h.ended(err)
	}()
	return x.XClient.Oneshot(h, serviceMethod, args)
}

// SendRaw is XClient's, but for the error that rpcx forgets.
func (x *xclient) SendRaw(ctx context.Context, r *protocol.Message) (metadata map[string]string, payload []byte, err error) {
	h := x.holder(ctx, r.IsOneway())
	defer func() { h.ended(err) }()
	metadata, payload, err = x.XClient.SendRaw(h, r)
	if h.err != nil {
		err = h.err
	}
	if err == nil && !h.sent && metadata == nil { // no attempt was made
		err = client.ErrServerUnavailable
	}
	return metadata, payload, err
}

// SendFile is XClient's. Its call is what the selector hears of, not the transfer.
func (x *xclient) SendFile(ctx context.Context, fileName string, rateInBytesPerSecond int64, meta map[string]string) (err error) {
	h := x.holder(ctx, false)
	defer func() { h.ended(err) }()
	return x.XClient.SendFile(h, fileName, rateInBytesPerSecond, meta)
}

// DownloadFile is XClient's. Its call is what the selector hears of, not the transfer.
func (x *xclient) DownloadFile(ctx context.Context, requestFileName string, saveTo io.Writer, meta map[string]string) (err error) {
	h := x.holder(ctx, false)
	defer func() { h.ended(err) }()
	return x.XClient.DownloadFile(h, requestFileName, saveTo, meta)
}

// Stream is XClient's. Its call is what the selector hears of, not the stream.
func (x *xclient) Stream(ctx context.Context, meta map[string]string) (conn net.Conn, err error) {
	h := x.holder(ctx, false)
	defer func() { h.ended(err) }()
	return x.XClient.Stream(h, meta)
}

// Close closes the XClient and waits for what the wrapper has started. A call that is still under way ends with client.ErrShutdown.
func (x *xclient) Close() error {
	x.ending.Store(true)
	err := x.XClient.Close()
	x.view.close()
	x.mu.Lock()
	if !x.closed {
		x.closed = true
		close(x.ended)
	}
	x.mu.Unlock()
	x.flights.Wait()
	return err
}

// holderOf returns the holder of a call of this XClient's. A context may come from a call of another's, whose selector this is not.
func (x *xclient) holderOf(ctx context.Context) *holder {
	if h := holderOf(ctx); h != nil && h.x == x {
		return h
	}
	return nil
}

// disconnected says that a connection has ended, and nothing of why. A server has its address in the list only where the list has literal addresses. The
// connection's lock is held.
func (x *xclient) disconnected(conn net.Conn) {
	if conn == nil || x.ending.Load() {
		return
	}
	remote := conn.RemoteAddr()
	if remote == nil {
		return
	}
	for _, network := range [...]string{"tcp@", "", "http@", "unix@"} {
		if srv := x.view.roster.table.Load().byKey[network+remote.String()]; srv != nil && srv.State() == Up {
			x.s.judge(srv, srv.epoch.Load(), health.ConnectionEnded)
		}
	}
}

// observe tells of an outcome that no pick stands for. A server that is not known has no key, and is not listed.
func (x *xclient) observe(key string, o health.Outcome, took time.Duration) {
	x.s.observe(x.view.roster, key, o, took)
}

// stickTo says that a server has answered. A sticky XClient has kept it: of servers selected at the same time it keeps one and closes the
// connections to the others, whose calls then fail.
func (x *xclient) stickTo(key string, o health.Outcome) {
	if x.option.Sticky && o.Alive() {
		x.stuck.Store(key)
	}
}

// stuckTo is the server that a sticky XClient keeps, "" if it is not known.
func (x *xclient) stuckTo() string {
	key, _ := x.stuck.Load().(string)
	return key
}

// settings are what an XClient was made with and a wrapper has to know.
type settings struct {
	known    bool
	failMode client.FailMode
	option   client.Option
}

// settingsOf reads an XClient's settings, which it keeps to itself, by reflection. Those of an XClient that is not rpcx's own are unknown; it is
// then taken for one that fails fast: all picks are released with the call that made them, whatever it does.
func settingsOf(xc client.XClient) settings {
	unknown := settings{failMode: client.Failfast, option: client.Option{SerializeType: protocol.SerializeType(^byte(0))}}
	v := reflect.Indirect(reflect.ValueOf(xc))
	if v.Kind() != reflect.Struct || !v.CanAddr() || v.Type().PkgPath() != reflect.TypeFor[client.Option]().PkgPath() {
		return unknown
	}
	failMode, option := v.FieldByName("failMode"), v.FieldByName("option")
	if !failMode.IsValid() || failMode.Type() != reflect.TypeFor[client.FailMode]() ||
		!option.IsValid() || option.Type() != reflect.TypeFor[client.Option]() {
		return unknown
	}
	// A field that is not exported can be read by its address.
	return settings{true, client.FailMode(failMode.Int()), *(*client.Option)(option.Addr().UnsafePointer())}
}

// unencodable reports whether arguments cannot be sent to any server. rpcx returns such an error as it returns a connection's.
func (s *settings) unencodable(args any) bool {
	codec := share.Codecs[s.option.SerializeType]
	if codec == nil || args == nil {
		return false
	}
	_, err := codec.Encode(args)
	return err != nil
}
