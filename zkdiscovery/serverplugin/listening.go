package serverplugin

import (
	"net"
	"strings"
	"time"
)

const (
	probeFor   = 3 * time.Second
	probeEvery = 50 * time.Millisecond
)

// awaitServer tells when the server that was named listens; at once when none was.
func (r *registrar) awaitServer() {
	network, addr, _ := strings.Cut(r.cfg.address, "@")
	switch s := r.cfg.server; {
	case s == nil:
	case network == "http" || network == "ws" || network == "wss":
		if !r.probe(addr) {
			r.cfg.log.Warn("the server's own address does not answer this process, registering all the same", "address", r.cfg.address)
		}
	default:
		select {
		case <-s.Started:
		case <-r.ctx.Done():
			return
		}
	}
	r.mail.change(func(st *state) { st.listening = true })
}

// probe reports whether something accepts connections at addr within a while.
func (r *registrar) probe(addr string) bool {
	dialer := net.Dialer{Timeout: time.Second}
	for deadline := time.Now().Add(probeFor); r.ctx.Err() == nil && time.Now().Before(deadline); {
		c, err := dialer.DialContext(r.ctx, "tcp", addr)
		if err == nil {
			_ = c.Close() // it has told what it was for
			return true
		}
		t := time.NewTimer(probeEvery)
		select {
		case <-t.C:
		case <-r.ctx.Done():
			t.Stop()
		}
	}
	return false
}
