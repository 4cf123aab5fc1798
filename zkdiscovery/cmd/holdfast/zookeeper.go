package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/znode"
	"github.com/spf13/pflag"
)

type tlsFlags struct {
	on                    bool
	ca, cert, key, server string
}

func (t *tlsFlags) add(f *pflag.FlagSet) {
	f.BoolVar(&t.on, "tls", false, "encrypt the connection to ZooKeeper")
	f.StringVar(&t.ca, "tls-ca", "", "`file` with the certificates that are trusted (default: the system's)")
	f.StringVar(&t.cert, "tls-cert", "", "`file` with our certificate")
	f.StringVar(&t.key, "tls-key", "", "`file` with its key")
	f.StringVar(&t.server, "tls-server-name", "", "`name` that the server's certificate must have")
}

func (t *tlsFlags) config() (*tls.Config, error) {
	switch {
	case !t.on && *t != (tlsFlags{}):
		return nil, fail(exitUsage, "--tls is needed where another --tls flag is given")
	case !t.on:
		return nil, nil //nolint:nilnil // plain TCP is no error
	}
	c := &tls.Config{ServerName: t.server, MinVersion: tls.VersionTLS12}
	if t.ca != "" {
		text, err := os.ReadFile(t.ca)
		if err != nil {
			return nil, fail(exitUsage, "--tls-ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fail(exitUsage, "--tls-ca %s: no certificate in it", t.ca)
		}
	}
	if t.cert != "" || t.key != "" {
		pair, err := tls.LoadX509KeyPair(t.cert, t.key)
		if err != nil {
			return nil, fail(exitUsage, "--tls-cert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// credentials are those of --auth.
func (a *app) credentials() ([]session.Auth, error) {
	var all []session.Auth
	for _, given := range a.auth {
		if file, ok := strings.CutPrefix(given, "@"); ok {
			text, err := os.ReadFile(file) //nolint:gosec // the user's own
			if err != nil {
				return nil, fail(exitUsage, "--auth: %w", err)
			}
			given = strings.TrimSpace(string(text))
		}
		scheme, secret, ok := strings.Cut(given, ":")
		if !ok || scheme == "" {
			return nil, fail(exitUsage, "--auth: scheme:credentials is needed, digest:user:password for instance")
		}
		all = append(all, session.Auth{Scheme: scheme, Credentials: []byte(secret)})
	}
	return all, nil
}

// zookeeper is a connection.
type zookeeper struct {
	*session.Session
	base   string // normal form: "" or /a/b
	chroot string
}

// at is path as ZooKeeper takes it: the root, which is "" in normal form, has a slash unless there is a chroot before it.
func (zk *zookeeper) at(path string) string {
	if path == "" && zk.chroot == "" {
		return "/"
	}
	return path
}

// paths checks --zk and --base.
func (a *app) paths() (addrs []string, chroot, base string, err error) {
	if addrs, chroot, err = session.ParseServers(strings.Split(a.zk, ",")); err != nil {
		return nil, "", "", fail(exitUsage, "--zk: %w", err)
	}
	if base, err = znode.BasePath(a.base); err != nil {
		return nil, "", "", fail(exitUsage, "--base: %w", err)
	}
	return addrs, chroot, base, nil
}

// servicePath is the path of the service that is meant.
func (a *app) servicePath() (string, error) {
	_, _, base, err := a.paths()
	if err != nil {
		return "", err
	}
	path, err := znode.ServicePath(base, a.service)
	if err != nil {
		return "", fail(exitUsage, "--service: %w", err)
	}
	return path, nil
}

// config is the connection that the flags speak of, and the base path in normal form.
func (a *app) config() (cfg session.Config, base string, err error) {
	cfg = session.Config{SessionTimeout: 10 * time.Second}
	if a.timeout <= 0 {
		return cfg, "", fail(exitUsage, "--timeout %v: more than 0 is needed", a.timeout)
	}
	if cfg.Servers, cfg.Chroot, base, err = a.paths(); err != nil {
		return cfg, "", err
	}
	if cfg.Auth, err = a.credentials(); err != nil {
		return cfg, "", err
	}
	cfg.TLS, err = a.tls.config()
	return cfg, base, err
}

// open waits for a connection. The caller closes it.
func (a *app) open(ctx context.Context, cfg session.Config, base string) (*zookeeper, error) {
	s := session.Open(cfg)
	limit := time.NewTimer(a.timeout)
	defer limit.Stop()
	for {
		st, changed := s.Changed()
		if st.Connected {
			return &zookeeper{s, base, cfg.Chroot}, nil
		}
		if st.Rounds > 0 && st.Refused {
			s.Close()
			return nil, a.unreachable(st.Err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			s.Close()
			return nil, ctx.Err()
		case <-limit.C:
			s.Close()
			if st.Err == nil {
				st.Err = fmt.Errorf("no answer within %v", a.timeout)
			}
			return nil, a.unreachable(st.Err)
		}
	}
}

func (a *app) unreachable(why error) error {
	code := exitUnreachable
	if errors.Is(why, session.ErrAuthRefused) || errors.Is(why, session.ErrNoAuth) {
		code = exitRefused
	}
	return fail(code, "ZooKeeper at %s: %w", a.zk, why)
}

// with runs f with a connection, and bounds it.
func (a *app) with(ctx context.Context, f func(context.Context, *zookeeper) error) error {
	cfg, base, err := a.config()
	if err != nil {
		return err
	}
	zk, err := a.open(ctx, cfg, base)
	if err != nil {
		return err
	}
	defer zk.Close()
	ctx, cancel := context.WithTimeout(ctx, a.timeout+confirmWithin)
	defer cancel()
	return f(ctx, zk)
}
