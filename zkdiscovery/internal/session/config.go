package session

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"time"

	"github.com/holdfast-go/holdfast/internal/logs"
)

// Config is what a Session is made of. All fields but Servers have a usable zero value.
type Config struct {
	Servers        []string      // host:port, as ParseServers returns them
	Chroot         string        // put before every path and taken off again; "" or an absolute path
	SessionTimeout time.Duration // requested; the server may negotiate another. Default 10 s
	Auth           []Auth
	AuthFuncs      []AuthFunc  // their credentials follow those of Auth
	TLS            *tls.Config // nil: plain TCP. Without a ServerName, each server's own host name is verified
	// Dial makes the connections instead of a net.Dialer and gets the servers as they were given; names are its business then. One that
	// ignores its context is abandoned, not waited for, and a connection that it makes later is closed.
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	MaxReply int          // bytes; a longer reply ends the connection with ErrReplyTooLarge. Default 64 MiB
	Logger   *slog.Logger // default: discard
	// Extension is what List and Read make use of on servers that have it.
	Extension Extension
}

// Auth is one pair of ZooKeeper credentials, such as "digest" and "user:password".
type Auth struct {
	Scheme      string
	Credentials []byte
}

func (cfg Config) withDefaults() Config {
	if cfg.SessionTimeout <= 0 {
		cfg.SessionTimeout = 10 * time.Second
	}
	if cfg.MaxReply <= 0 {
		cfg.MaxReply = 64 << 20
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Logger = logs.Limited(cfg.Logger)
	return cfg
}
