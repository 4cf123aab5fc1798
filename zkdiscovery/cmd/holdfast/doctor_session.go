package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/znode"
)

const maxSkew = 2 * time.Second

// whyNone is what to do without a session.
func (e *examination) whyNone(err error) string {
	switch {
	case errors.Is(err, session.ErrAuthRefused):
		return "is the scheme of --auth one that this ZooKeeper has? digest:user:password is the usual one"
	case problems(e.Findings) > 0:
		return "see what is said of its servers above"
	}
	return "is it ZooKeeper that listens there? Does it demand TLS (--tls)? A server that hangs up has no quorum, or too many connections from this machine " +
		"(maxClientCnxns). Its own log has the reason"
}

// session looks at the session: with whom, as whom, and what the server has.
func (e *examination) session(ctx context.Context, cfg *session.Config, zk *zookeeper) {
	st := zk.State()
	version := e.versionOf(ctx, cfg, st.Server)
	e.Session = &sessionFor{Server: st.Server, Version: version, TimeoutMS: st.Timeout.Milliseconds(), Wire: st.Extension.String(), Identities: []string{}}
	e.add(sessionFinding(st, cfg.SessionTimeout), wireFinding(st.Extension, version, cfg.Extension == session.Extension{}))
	if !atLeast(version, 3, 7) { // whoAmI: a server that does not know it hangs up
		e.add(hint(checkIdentity, "servers from 3.7 on tell it; doctor asks one whose version it knows, by srvr", "whom ZooKeeper takes this command for is not told"))
		return
	}
	who, err := zk.WhoAmI(ctx)
	if err != nil {
		e.add(hint(checkIdentity, "look again", "whom ZooKeeper takes this command for is not told: %v", err))
		return
	}
	for _, id := range who {
		e.Session.Identities = append(e.Session.Identities, id.Scheme+":"+id.User)
	}
	e.add(identityFinding(e.Session.Identities, cfg.Auth))
}

// versionOf is the version of a server by its address, which may be one of a name's.
func (e *examination) versionOf(ctx context.Context, cfg *session.Config, address string) string {
	for _, s := range e.Servers {
		if s.Address == address {
			return s.Version
		}
	}
	way := wayTo{address, cfg.TLS, e.app.timeout}
	if cfg.TLS != nil && cfg.TLS.ServerName == "" {
		way.tls = cfg.TLS.Clone()
		way.tls.InsecureSkipVerify = true // the name is not known here; the session has verified the server
	}
	answer, _, _ := way.ask(ctx, "srvr") // what is not told is empty
	_, version, _ := readSrvr(answer)
	return version
}

func sessionFinding(st session.State, wanted time.Duration) finding {
	if st.Timeout != wanted {
		return hint(checkSession, "minSessionTimeout and maxSessionTimeout of zoo.cfg bound it. A killed server's instances stay listed for so long",
			"session with %s, timeout %v where %v was asked for", st.Server, st.Timeout, wanted)
	}
	return ok(checkSession, "session with %s, timeout %v", st.Server, st.Timeout)
}

// wireFinding says what the server has of the wire extension. off says that the environment forbids it.
func wireFinding(has session.Extension, version string, off bool) finding {
	switch {
	case off:
		return ok(checkWire, "wire extension: %v (HOLDFAST_WIRE=off)", has)
	case !has.Lasting && atLeast(version, 3, 6):
		return hint(checkWire, "does it run with WatchManagerOptimized, or is something between that is not ZooKeeper? Clients work, and cost it more",
			"wire extension: %v, though ZooKeeper %s can do more", has, version)
	}
	return ok(checkWire, "wire extension: %v", has)
}

// identityFinding compares whom ZooKeeper takes us for with the credentials that were given.
func identityFinding(who []string, given []session.Auth) finding {
	for _, a := range given {
		user, _, _ := strings.Cut(string(a.Credentials), ":")
		if id := a.Scheme + ":" + user; a.Scheme == "digest" && !slices.Contains(who, id) {
			return problem(checkIdentity, "is something between that is not ZooKeeper?", "ZooKeeper takes this command for %s, and not for %s", strings.Join(who, ", "), id)
		}
	}
	text := "ZooKeeper takes this command for " + strings.Join(who, ", ")
	if len(given) > 0 {
		text += ". It has not looked at the password: each node does"
	}
	return ok(checkIdentity, "%s", text)
}

// mayNot is what to do about a path that may not be read.
func (e *examination) mayNot() string {
	if len(e.app.auth) > 0 {
		return "are user and password of --auth those in its ACL? ZooKeeper takes any, and compares them here. See docs/operating.md, Who may do what"
	}
	return "give credentials that may read it (--auth), or let world:anyone read it. See docs/operating.md, Who may do what"
}

// base looks at the base path, and reports whether there is more to look at.
func (e *examination) base(ctx context.Context, zk *zookeeper) bool {
	ls, err := zk.List(ctx, zk.at(zk.base))
	switch {
	case errors.Is(err, session.ErrNoNode):
		e.add(problem(checkBase, e.nearest(ctx, zk), "base path %s does not exist", pathCell(zk.base)))
		return false
	case errors.Is(err, session.ErrNoAuth):
		e.add(problem(checkBase, e.mayNot(), "base path %s may not be listed", pathCell(zk.base)))
		return e.app.service != "" // which may be open
	case err != nil:
		e.add(problem(checkBase, "look again: the connection has ended, or ZooKeeper is overloaded", "base path %s: %v", pathCell(zk.base), err))
		return false
	}
	if i := slices.IndexFunc(ls.Names, func(name string) bool { _, is := znode.InstanceKey(name); return is }); i >= 0 {
		e.add(problem(checkBase, fmt.Sprintf("it is the path of a service: give --base %s --service %s, and programs the same", cell(path.Dir(zk.base)), cell(path.Base(zk.base))),
			"base path %s has instances right below it, %s for example", pathCell(zk.base), cell(ls.Names[i])))
		return true
	}
	e.add(ok(checkBase, "base path %s is there and can be listed", pathCell(zk.base)))
	return true
}

// nearest is what to do about a base path that does not exist: what stands where it should.
func (e *examination) nearest(ctx context.Context, zk *zookeeper) string {
	const most = 10
	for above := zk.base; above != ""; {
		above = above[:strings.LastIndexByte(above, '/')]
		ls, err := zk.List(ctx, zk.at(above))
		switch {
		case errors.Is(err, session.ErrNoNode):
			continue
		case err != nil:
			return fmt.Sprintf("are --base and the chroot in --zk those of the servers? Below %s cannot be looked: %v", pathCell(zk.chroot+above), err)
		}
		names := slices.DeleteFunc(slices.Sorted(slices.Values(ls.Names)), func(name string) bool { return zk.chroot+above == "" && name == "zookeeper" })
		if len(names) == 0 {
			return fmt.Sprintf("are --base and the chroot in --zk those of the servers? There is nothing below %s: nobody has registered, or this is another ZooKeeper",
				pathCell(zk.chroot+above))
		}
		more := ""
		if len(names) > most {
			names, more = names[:most], ", …"
		}
		return fmt.Sprintf("are --base and the chroot in --zk those of the servers? Below %s there are: %s%s", pathCell(zk.chroot+above), cell(strings.Join(names, ", ")), more)
	}
	return fmt.Sprintf("the chroot %s of --zk does not exist: is it that of the servers?", cell(zk.chroot))
}

// clock makes a temporary node: its time is ZooKeeper's.
func (e *examination) clock(ctx context.Context, zk *zookeeper) {
	node := fmt.Sprintf("%s/holdfast-doctor-%x", zk.base, zk.State().ID)
	before := time.Now()
	acl := []session.ACL{{Perms: session.PermAll, Scheme: "world", ID: "anyone"}}
	if _, err := zk.Write(ctx, zk.State().Session, session.Create{Path: node, ACL: acl, Ephemeral: true}); err != nil {
		e.add(problem(checkWrite, "servers need the permission to create there: with theirs (--auth), does it go?", "no node can be made below %s: %v", pathCell(zk.base), err))
		return
	}
	stat, err := zk.Stat(ctx, node)
	after := time.Now()
	if _, removeErr := zk.Write(ctx, zk.State().Session, session.Delete{Path: node, Version: -1}); removeErr != nil {
		e.add(hint(checkWrite, "it goes with this command's session", "the temporary node is not deleted: %v", removeErr))
	}
	if err != nil || stat == nil {
		e.add(hint(checkWrite, "look again", "the temporary node is not found: %v", err))
		return
	}
	e.add(ok(checkWrite, "a node can be made below %s", pathCell(zk.base)), clockFinding(time.UnixMilli(stat.Ctime), before, after))
}

// clockFinding compares a moment of ZooKeeper's clock with those of this machine's before and after it.
func clockFinding(at, before, after time.Time) finding {
	if skew := max(before.Sub(at), at.Sub(after), 0); skew > maxSkew {
		return problem(checkClock, "set one of the clocks right: ages of lists and files are wrong by that", "this machine's clock and ZooKeeper's differ by %v", skew.Round(time.Millisecond))
	}
	return ok(checkClock, "this machine's clock and ZooKeeper's agree")
}
