package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// member is a server of --zk.
type member struct {
	Address   string `json:"address"`
	Reachable bool   `json:"reachable"`
	Version   string `json:"version"` // "" when it is not told
	Mode      string `json:"mode"`    // "standalone", "leader", "follower", "observer", "read-only"; "" when it is not told
}

// heard is what a server has answered.
type heard struct {
	way        wayTo
	err        error // it cannot be reached so
	other      bool  // but with TLS instead of without, or the other way round
	silent     bool  // it listens, and does not answer, nor hang up
	srvr       string
	conf, cons string
	local      netip.Addr // this machine, as the server sees it
}

// servers asks every server of --zk.
func (e *examination) servers(ctx context.Context, cfg *session.Config) {
	all := make([]heard, len(cfg.Servers))
	var asked sync.WaitGroup
	for i, address := range cfg.Servers {
		asked.Go(func() { all[i] = hear(ctx, wayTo{address, cfg.TLS, e.app.timeout}) })
	}
	asked.Wait()
	for i := range all {
		s, found := all[i].findings()
		e.Servers = append(e.Servers, s)
		e.add(found...)
	}
	e.add(together(e.Servers)...)
}

// hear asks one server what it tells without a session.
func hear(ctx context.Context, way wayTo) heard {
	h := heard{way: way}
	h.srvr, h.local, h.err = way.ask(ctx, "srvr")
	if is, _, _ := readSrvr(h.srvr); is == toldVersion {
		h.conf, _, _ = way.ask(ctx, "conf") // what is not told is empty
		h.cons, _, _ = way.ask(ctx, "cons")
	}
	if h.srvr != "" {
		return h
	}
	if way.tls != nil {
		answer, _, err := way.with(nil).ask(ctx, "srvr")
		h.other = err == nil && answer != ""
		return h
	}
	c, err := way.dial(ctx)
	if err != nil {
		h.err = err
		return h
	}
	_ = c.Close() // nothing was said on it
	h.silent, h.err = errors.Is(h.err, os.ErrDeadlineExceeded), nil
	c, err = way.with(&tls.Config{InsecureSkipVerify: true}).dial(ctx) //nolint:gosec // nothing is said on it
	if h.other = err == nil; h.other {
		_ = c.Close() // as above
	}
	return h
}

const (
	listens   = "does it run? Is the name right, and does a firewall let this machine through?"
	oneTree   = "name servers of one ensemble in --zk and in every program: clients of another one see another tree"
	allowSrvr = "to have more said here, allow srvr, conf and cons in its 4lw.commands.whitelist"
)

// findings are what a server's answers mean.
func (h *heard) findings() (*member, []finding) {
	s := &member{Address: h.way.address, Reachable: h.err == nil}
	var wrong *tls.CertificateVerificationError
	var alert *net.OpError
	switch {
	case h.other && h.way.tls == nil:
		return s, []finding{problem(checkServer, "--tls, and --tls-ca with the certificates that its own is signed by", "server %s demands TLS", s.Address)}
	case h.other:
		return s, []finding{problem(checkServer, "leave --tls out, or name its port for TLS", "server %s speaks without TLS: %v", s.Address, h.err)}
	case errors.As(h.err, &wrong):
		return s, []finding{problem(checkServer, "--tls-ca has the certificates that are trusted, --tls-server-name the name that its certificate must have",
			"the certificate of server %s is not trusted: %v", s.Address, h.err)}
	case errors.As(h.err, &alert) && alert.Op == "remote error":
		return s, []finding{problem(checkServer, "--tls-cert and --tls-key have the certificate that it wants, of an authority that it trusts",
			"server %s refuses TLS: %v", s.Address, h.err)}
	case h.err != nil:
		return s, []finding{problem(checkServer, listens, "server %s: %v", s.Address, h.err)}
	}
	how := ""
	if h.way.tls != nil {
		how = " with TLS"
	}
	var is told
	switch is, s.Version, s.Mode = readSrvr(h.srvr); is {
	case toldVersion:
		mode := s.Mode
		if mode != "" {
			mode = ", " + mode
		}
		return s, append([]finding{ok(checkServer, "server %s can be reached%s: ZooKeeper %s%s", s.Address, how, s.Version, mode)}, h.limits()...)
	case toldNotServing:
		return s, []finding{problem(checkServer, "does most of the ensemble run, and can its servers reach each other? Its own log says",
			"server %s runs and does not serve: it has no quorum", s.Address)}
	case toldForeign:
		return s, []finding{problem(checkServer, "is that ZooKeeper's port?", "server %s answers, but not as ZooKeeper does: %s", s.Address, cell(h.srvr))}
	default:
		if h.silent {
			return s, []finding{problem(checkServer, "is its process stopped or starved (memory, disk), or does something between swallow what is said? Its own log says",
				"server %s listens, and answers nothing", s.Address)}
		}
		return s, []finding{
			ok(checkServer, "server %s can be reached%s", s.Address, how),
			hint(checkLimits, allowSrvr+". "+likelyLimits, "server %s tells neither its version nor its limits", s.Address),
		}
	}
}

// likelyLimits is what to think of where the server does not tell.
const likelyLimits = "Likely limits: 60 connections from one machine (maxClientCnxns), of which the next is hung up on; 1 MB for one node's metadata (jute.maxbuffer)"

// limits are what conf and cons mean.
func (h *heard) limits() []finding {
	l, there := readConf(h.conf)
	if !there {
		return []finding{hint(checkLimits, allowSrvr+". "+likelyLimits, "server %s does not tell its limits", h.way.address)}
	}
	text := fmt.Sprintf("server %s grants sessions of %v to %v", h.way.address, l.shortest, l.longest)
	n, known := readCons(h.cons, h.local)
	most := "any number of"
	if l.perAddress > 0 {
		most = fmt.Sprint(l.perAddress)
	}
	text += fmt.Sprintf(" and %s connections from one machine", most)
	if known {
		text += fmt.Sprintf("; from this one, %v, it has %d", h.local, n)
	}
	if l.perAddress > 0 && n >= l.perAddress*4/5 {
		do := "use one template for all services of a process (zkdiscovery.NewTemplate), or raise maxClientCnxns: the connection beyond it is hung up on"
		if n >= l.perAddress {
			return []finding{problem(checkLimits, do, "%s", text)}
		}
		return []finding{hint(checkLimits, do, "%s", text)}
	}
	return []finding{ok(checkLimits, "%s", text)}
}

// together says whether the servers are of one ensemble.
func together(all []*member) []finding {
	var leaders, alone, versions []string
	for _, s := range all {
		switch s.Mode {
		case "leader":
			leaders = append(leaders, s.Address)
		case "standalone":
			alone = append(alone, s.Address)
		}
		if s.Version != "" {
			versions = append(versions, s.Version)
		}
	}
	var found []finding
	switch {
	case len(all) > 1 && len(alone) > 0:
		found = append(found, problem(checkServer, oneTree, "of several servers, %s stands alone", strings.Join(alone, ", ")))
	case len(leaders) > 1:
		found = append(found, problem(checkServer, oneTree, "%s are leaders, of different ensembles", strings.Join(leaders, ", ")))
	}
	for _, v := range versions {
		if v != versions[0] {
			found = append(found, hint(checkServer, "finish the upgrade", "the servers have different versions: %s", strings.Join(versions, ", ")))
			break
		}
	}
	return found
}
