package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxWord is how much of the answer to a four-letter word is read.
const maxWord = 1 << 20

// wayTo is how a server is reached.
type wayTo struct {
	address string
	tls     *tls.Config // nil: none
	limit   time.Duration
}

// with is the same way with other TLS, or none.
func (w wayTo) with(c *tls.Config) wayTo {
	w.tls = c
	return w
}

// dial connects, within the limit.
func (w wayTo) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, w.limit)
	defer cancel()
	if w.tls == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", w.address)
	}
	return (&tls.Dialer{Config: w.tls}).DialContext(ctx, "tcp", w.address)
}

// ask asks a four-letter word. Servers from 3.5 on answer srvr, and others only where their configuration allows them (4lw.commands.whitelist). local is the
// address that the server sees this machine at, where nothing in between changes it.
func (w wayTo) ask(ctx context.Context, word string) (answer string, local netip.Addr, err error) {
	c, err := w.dial(ctx)
	if err != nil {
		return "", netip.Addr{}, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if at, err := netip.ParseAddrPort(c.LocalAddr().String()); err == nil {
		local = at.Addr().Unmap()
	}
	if err := c.SetDeadline(time.Now().Add(w.limit)); err != nil {
		return "", local, err
	}
	if _, err := io.WriteString(c, word+"\n"); err != nil { // with the end of a line a server that speaks TLS sees at once that this is none
		return "", local, err
	}
	text, err := io.ReadAll(io.LimitReader(c, maxWord))
	if len(text) > 0 {
		err = nil // it closes in its own way, behind the answer
	}
	return string(text), local, err
}

// told is what an answer to srvr says.
type told uint8

const (
	toldNothing    told = iota // it hangs up
	toldVersion                // version, and perhaps mode
	toldNotAllowed             // its configuration does not allow the word
	toldNotServing             // it has no quorum, or starts
	toldForeign                // something else answers
)

var (
	versionLine = regexp.MustCompile(`(?m)^Zookeeper version: (\d+(?:\.\d+)*)`)
	modeLine    = regexp.MustCompile(`(?m)^Mode: ([\w-]+)`)
	consLine    = regexp.MustCompile(`(?m)^\s*/([^\[\]\s]+)\[`)
)

// notAllowed reports whether a server says that its configuration does not allow the word.
func notAllowed(answer string) bool {
	return strings.Contains(answer, "is not executed because it is not in the whitelist")
}

// readSrvr reads the answer to srvr.
func readSrvr(answer string) (is told, version, mode string) {
	switch v := versionLine.FindStringSubmatch(answer); {
	case v != nil:
		if m := modeLine.FindStringSubmatch(answer); m != nil {
			mode = m[1]
		}
		return toldVersion, v[1], mode
	case strings.TrimSpace(answer) == "":
		return toldNothing, "", ""
	case notAllowed(answer):
		return toldNotAllowed, "", ""
	case strings.Contains(answer, "not currently serving requests"):
		return toldNotServing, "", ""
	}
	return toldForeign, "", ""
}

// limits are what conf tells; nothing is 0.
type limits struct {
	perAddress        int // connections of one address; 0: as many as one likes, where conf has it
	shortest, longest time.Duration
}

// readConf reads the answer to conf, if it is one.
func readConf(answer string) (limits, bool) {
	values := make(map[string]int)
	for line := range strings.Lines(answer) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if n, err := strconv.Atoi(value); err == nil {
			values[key] = n
		}
	}
	most, there := values["maxClientCnxns"]
	ms := func(key string) time.Duration { return time.Duration(values[key]) * time.Millisecond }
	return limits{most, ms("minSessionTimeout"), ms("maxSessionTimeout")}, there
}

// readCons counts the connections of an address in the answer to cons. known says that they are told.
func readCons(answer string, of netip.Addr) (n int, known bool) {
	for _, line := range consLine.FindAllStringSubmatch(answer, -1) {
		known = true
		at := strings.LastIndexByte(line[1], ':')
		if addr, err := netip.ParseAddr(line[1][:max(at, 0)]); err == nil && addr.Unmap() == of {
			n++
		}
	}
	return n, known
}

// atLeast compares versions by their numbers: 3.10 is later than 3.9. An unknown version is none.
func atLeast(version string, least ...int) bool {
	if version == "" {
		return false
	}
	var numbers []int
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return false
		}
		numbers = append(numbers, n)
	}
	return slices.Compare(numbers, least) >= 0
}
