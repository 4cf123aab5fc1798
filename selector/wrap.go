package selector

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"
)

// Wrap makes s the selector of xc and returns an XClient that is to be used in its place: it tells s what became of every call, as far as rpcx
// lets it know (see Modes in the package's doc). Wrap xc before its first call; give xc the select mode client.SelectByUser, since the
// selector of any other is made for nothing.
//
// One Selector serves all XClients of one service; those of different services need one each. Closing what Wrap returns closes xc, ends what
// Wrap has started, and leaves s open.
//
// What is different from xc itself: SetPlugins may be called at any time, also with nil. In the mode Failbackup, two failures are an error (in
// rpcx they can be a nil error with an empty reply), a server that cannot be reached is no answer while the other has not answered, and the backup
// goes out at once when the first fails. SendRaw returns the last attempt's error when all have failed (rpcx: three nils). SetSelector
// and ConfigGeoSelector replace s, without which the XClient goes on. A share.Context is read, not written to: what plugins put into it is
// seen by plugins only.
//
// Wrap panics when xc or s is nil.
func Wrap(xc client.XClient, s *Selector) client.XClient {
	if xc == nil {
		panic("selector: Wrap needs an XClient, not nil")
	}
	if s == nil {
		panic("selector: Wrap needs a Selector, not nil: make one with New")
	}
	return wrap(xc, s, settingsOf(xc))
}

// xclient is a wrapped XClient.
type xclient struct {
	client.XClient
	settings
	s       *Selector
	view    *view
	plugins *plugins
	stuck   atomic.Pointer[string] // of a sticky XClient: the server that it keeps

	ended   chan struct{} // closed by Close when xc is: what is still under way is given up
	flights sync.WaitGroup

	mu      sync.Mutex
	closed  bool // no flight is begun any more
	fanouts []*fanout
}

func wrap(xc client.XClient, s *Selector, known settings) *xclient {
	x := &xclient{XClient: xc, settings: known, s: s, view: s.newView(), ended: make(chan struct{})}
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

// Call is XClient's.
func (x *xclient) Call(ctx context.Context, serviceMethod string, args, reply any) error {
	if x.failMode == client.Failbackup {
		return x.callWithBackup(ctx, serviceMethod, args, reply)
	}
	h := &holder{Context: ctx, x: x, oneway: reply == nil} // rpcx asks for no answer where there is no room for one
	defer h.release()
	return x.XClient.Call(h, serviceMethod, args, reply)
}

// Oneshot is XClient's.
func (x *xclient) Oneshot(ctx context.Context, serviceMethod string, args any) error {
	h := &holder{Context: ctx, x: x, oneway: true}
	defer h.release()
	return x.XClient.Oneshot(h, serviceMethod, args)
}

// SendRaw is XClient's, but for the error that rpcx forgets.
func (x *xclient) SendRaw(ctx context.Context, r *protocol.Message) (map[string]string, []byte, error) {
	h := &holder{Context: ctx, x: x, oneway: r.IsOneway()}
	defer h.release()
	metadata, payload, err := x.XClient.SendRaw(h, r)
	if err == nil && h.err != nil {
		err = h.err
	}
	return metadata, payload, err
}

// SendFile is XClient's. Its call is what the selector hears of, not the transfer.
func (x *xclient) SendFile(ctx context.Context, fileName string, rateInBytesPerSecond int64, meta map[string]string) error {
	h := &holder{Context: ctx, x: x}
	defer h.release()
	return x.XClient.SendFile(h, fileName, rateInBytesPerSecond, meta)
}

// DownloadFile is XClient's. Its call is what the selector hears of, not the transfer.
func (x *xclient) DownloadFile(ctx context.Context, requestFileName string, saveTo io.Writer, meta map[string]string) error {
	h := &holder{Context: ctx, x: x}
	defer h.release()
	return x.XClient.DownloadFile(h, requestFileName, saveTo, meta)
}

// Stream is XClient's. Its call is what the selector hears of, not the stream.
func (x *xclient) Stream(ctx context.Context, meta map[string]string) (net.Conn, error) {
	h := &holder{Context: ctx, x: x}
	defer h.release()
	return x.XClient.Stream(h, meta)
}

// Close closes the XClient and waits for what the wrapper has started. A call that is still under way ends with client.ErrShutdown.
func (x *xclient) Close() error {
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

// errDial stands for the error that rpcx does not hand on.
var errDial = errors.New("dial failed")

// dialFailed says that a server could not be dialled.
func (x *xclient) dialFailed(network, address string) {
	x.s.dialFailed(network+"@"+address, errDial)
	if network == "tcp" { // which rpcx takes an address without a network for
		x.s.dialFailed(address, errDial)
	}
}

// observe tells of an outcome that no pick stands for. A server that is not known has no key, and is not listed.
func (x *xclient) observe(key string, o outcome, latency time.Duration) {
	if o != cancelled {
		x.s.observe(key, o, latency)
	}
}

// stickTo says that a server has answered. A sticky XClient has kept it: of servers selected at the same time it keeps one and closes the
// connections to the others, whose calls then fail.
func (x *xclient) stickTo(key string, o outcome) {
	if x.sticky && (o == succeeded || o == serviceError) {
		kept := key // not &key, which would be allocated for every call
		x.stuck.Store(&kept)
	}
}

// stuckTo is the server that a sticky XClient keeps, "" if it is not known.
func (x *xclient) stuckTo() string {
	if key := x.stuck.Load(); key != nil {
		return *key
	}
	return ""
}
