package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// dialError is err as net.Dialer returns it.
func dialError(err error) error {
	if errno, ok := err.(syscall.Errno); ok { //nolint:errorlint // it is made here
		err = os.NewSyscallError("connect", errno)
	}
	return &net.OpError{Op: "dial", Net: "tcp", Err: err}
}

func TestOnlyWhoWasAskedIsSilent(t *testing.T) {
	for name, rule := range map[string]struct {
		err  error
		want Answer
	}{
		"no error":                               {nil, Alive},
		"the probe does not know the network":    {fmt.Errorf("quic: %w", errors.ErrUnsupported), Unaskable},
		"refused":                                {dialError(syscall.ECONNREFUSED), Silent},
		"reset":                                  {dialError(syscall.ECONNRESET), Silent},
		"timed out, says the kernel":             {dialError(syscall.ETIMEDOUT), Silent},
		"no such unix socket":                    {dialError(syscall.ENOENT), Silent},
		"no answer in its time":                  {context.DeadlineExceeded, Silent},
		"a deadline of the connection":           {fmt.Errorf("read: %w", os.ErrDeadlineExceeded), Silent},
		"closed":                                 {io.EOF, Silent},
		"what a user's probe says":               {errors.New("not serving"), Silent},
		"an address that is none":                {&net.AddrError{Err: "missing port in address", Addr: "a"}, Silent},
		"there is no such name":                  {dialError(&net.DNSError{Err: "no such host", Name: "a", IsNotFound: true}), Silent},
		"the name server fails":                  {dialError(&net.DNSError{Err: "server misbehaving", Name: "a", IsTemporary: true}), CouldNotAsk},
		"the name server is silent":              {dialError(&net.DNSError{Err: "i/o timeout", Name: "a", IsTimeout: true}), CouldNotAsk},
		"no descriptor":                          {dialError(syscall.EMFILE), CouldNotAsk},
		"no descriptor, in the whole machine":    {dialError(syscall.ENFILE), CouldNotAsk},
		"no descriptor for the name server":      {&net.DNSError{Err: "too many open files", IsNotFound: true, UnwrapErr: syscall.EMFILE}, CouldNotAsk},
		"no buffer":                              {dialError(syscall.ENOBUFS), CouldNotAsk},
		"no memory":                              {dialError(syscall.ENOMEM), CouldNotAsk},
		"no local address":                       {dialError(syscall.EADDRNOTAVAIL), CouldNotAsk},
		"no local port":                          {dialError(syscall.EADDRINUSE), CouldNotAsk},
		"no room in the backlog of a socket":     {dialError(syscall.EAGAIN), CouldNotAsk},
		"no way there":                           {dialError(syscall.ENETUNREACH), CouldNotAsk},
		"no way to the host":                     {dialError(syscall.EHOSTUNREACH), CouldNotAsk},
		"no network":                             {dialError(syscall.ENETDOWN), CouldNotAsk},
		"a firewall here":                        {dialError(syscall.EACCES), CouldNotAsk},
		"a firewall here, otherwise":             {dialError(syscall.EPERM), CouldNotAsk},
		"no IPv6 here":                           {dialError(syscall.EAFNOSUPPORT), CouldNotAsk},
		"what a user's probe says of descriptor": {fmt.Errorf("grpc: %w", dialError(syscall.EMFILE)), CouldNotAsk},
	} {
		if o := outcomeOf(rule.err); o.Answer != rule.want || o.Err != rule.err { //nolint:errorlint // the very one
			t.Errorf("%s: %v, %v, want %v", name, o.Answer, o.Err, rule.want)
		}
	}
}

func TestAnAnswerCanBeRead(t *testing.T) {
	for a := range Unaskable + 2 {
		if got, want := a.String(), [...]string{"could not ask", "alive", "silent", "unaskable", "unknown"}[a]; got != want {
			t.Errorf("%d is %q, want %q", a, got, want)
		}
	}
}

// one asks once, on a queue of its own.
func one(t *testing.T, s Settings, key string) Outcome {
	t.Helper()
	var got Outcome
	q := NewQueue(s)
	q.Ask(t.Context(), key, true, func(o Outcome) { got = o })
	q.Wait()
	return got
}

func TestANetworkThatIsNoStreamCannotBeAsked(t *testing.T) {
	for name, probe := range map[string]Probe{"heartbeat": nil, "dial": Dial} {
		for _, key := range []string{"quic@127.0.0.1:1", "kcp@127.0.0.1:1", "ws@127.0.0.1:1", "memu@a", "@"} {
			if o := one(t, Settings{Probe: probe}, key); o.Answer != Unaskable || o.Err == nil {
				t.Errorf("%s of %s: %v, %v", name, key, o.Answer, o.Err)
			}
		}
	}
}

func TestAKeyWithoutANetworkIsTCP(t *testing.T) {
	addr := serve(t, "tcp", "127.0.0.1:0")
	if o := one(t, Settings{Timeout: 5 * time.Second}, addr); o != (Outcome{Alive, nil}) {
		t.Errorf("%s: %v, %v", addr, o.Answer, o.Err)
	}
}

func TestAClosedPortIsSilent(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	for _, key := range []string{"tcp@" + addr, "http@" + addr, "unix@" + filepath.Join(t.TempDir(), "none")} {
		if o := one(t, Settings{Timeout: 5 * time.Second}, key); o.Answer != Silent || o.Err == nil {
			t.Errorf("%s: %v, %v", key, o.Answer, o.Err)
		}
	}
}
