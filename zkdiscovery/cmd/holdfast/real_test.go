package main

import (
	"bytes"
	"crypto/sha1" // the digest scheme is defined with it
	"encoding/base64"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// holdfast runs the command in this process.
func holdfast(t *testing.T, args ...string) (code int, out, diag string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, &stdout, &stderr, os.Getenv)
	t.Logf("holdfast %s: %d\n%s%s", strings.Join(args, " "), code, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// wants runs the command, and wants its exit code and each part in what it writes.
func wants(t *testing.T, want int, args []string, parts ...string) {
	t.Helper()
	code, out, diag := holdfast(t, args...)
	if code != want {
		t.Errorf("holdfast %s: exit code %d, want %d", strings.Join(args, " "), code, want)
	}
	for _, part := range parts {
		if !strings.Contains(out+diag, part) {
			t.Errorf("holdfast %s: no %q", strings.Join(args, " "), part)
		}
	}
}

// tree makes nodes on a real ZooKeeper, each with its ACL.
func tree(t *testing.T, e *zktest.Ensemble, nodes ...session.Op) {
	t.Helper()
	s := session.Open(session.Config{Servers: e.Servers()})
	defer s.Close()
	for deadline := time.Now().Add(30 * time.Second); !s.State().Connected; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not connected")
		}
	}
	if _, err := s.Write(t.Context(), s.State().Session, nodes...); err != nil {
		t.Fatal(err)
	}
}

const permRead = 1

func anyone(perms int32) session.ACL { return session.ACL{Perms: perms, Scheme: "world", ID: "anyone"} }

func digest(perms int32, user, password string) session.ACL {
	sum := sha1.Sum([]byte(user + ":" + password))
	return session.ACL{Perms: perms, Scheme: "digest", ID: user + ":" + base64.StdEncoding.EncodeToString(sum[:])}
}

func TestDoctorKnowsARealServer(t *testing.T) {
	e := zktest.StartEnsemble(t, 1, zktest.WithConfigLines("maxClientCnxns=60"))
	zk := e.Servers()[0]
	tree(t, e, session.Create{Path: "/rpcx", ACL: []session.ACL{anyone(session.PermAll)}},
		session.Create{Path: "/rpcx/Arith", ACL: []session.ACL{anyone(session.PermAll)}})
	code, out, _ := holdfast(t, "doctor", "--zk", zk, "--write", "--json", "--auth", "digest:ops:s3cret")
	var got examination
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != exitOK {
		t.Fatal(code, err)
	}
	version := got.Servers[0].Version
	if *got.Servers[0] != (member{zk, true, version, "standalone"}) || !atLeast(version, 3, 4) {
		t.Errorf("%+v", got.Servers[0])
	}
	want := sessionFor{zk, version, 10_000, "one-shot watches, single reads", []string{}}
	if atLeast(version, 3, 6) {
		want.Wire = "persistent watches, batched reads"
	}
	if atLeast(version, 3, 7) {
		want.Identities = []string{"digest:ops", "ip:127.0.0.1"}
	}
	if s := got.Session; s == nil || s.Server != want.Server || s.Version != want.Version || s.TimeoutMS != want.TimeoutMS || s.Wire != want.Wire ||
		!slices.Equal(s.Identities, want.Identities) {
		t.Errorf("%+v, want %+v", s, want)
	}
	if strings.Contains(out, "s3cret") {
		t.Error("credentials")
	}
	wants(t, exitOK, []string{"doctor", "--zk", zk, "--write"}, "ZooKeeper "+version+", standalone", "wire extension: "+want.Wire, "a node can be made below /rpcx",
		"60 connections from one machine; from this one, 127.0.0.1, it has 1", "this machine's clock and ZooKeeper's agree", "service /rpcx/Arith has no instance")
}

func TestDoctorTellsGoodCredentialsFromBadOnesWhereTheyCount(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	zk := e.Servers()[0]
	mine := []session.ACL{digest(session.PermAll, "ops", "s3cret")}
	tree(t, e, session.Create{Path: "/rpcx", ACL: mine}, session.Create{Path: "/open", ACL: []session.ACL{anyone(session.PermAll)}})
	good, bad := []string{"--auth", "digest:ops:s3cret"}, []string{"--auth", "digest:ops:guess"}
	doctor := []string{"doctor", "--zk", zk, "--write"}
	wants(t, exitOK, slices.Concat(doctor, good), "base path /rpcx is there and can be listed", "a node can be made below /rpcx")
	wants(t, exitFindings, slices.Concat(doctor, bad), "base path /rpcx may not be listed", "are user and password of --auth those in its ACL?")
	wants(t, exitFindings, doctor, "base path /rpcx may not be listed", "give credentials that may read it (--auth)")
	wants(t, exitRefused, slices.Concat(doctor, []string{"--auth", "kerberos:x"}), "is the scheme of --auth one that this ZooKeeper has?")
	wants(t, exitRefused, slices.Concat([]string{"list", "--zk", zk}, bad), "not authenticated")
	wants(t, exitOK, slices.Concat([]string{"list", "--zk", zk}, good))

	// A base path that may be listed and not written: servers cannot register.
	tree(t, e, session.Create{Path: "/read", ACL: []session.ACL{anyone(permRead)}})
	wants(t, exitFindings, append(slices.Clone(doctor), "--base", "/read"), "no node can be made below /read", "servers need the permission to create there")
}

func TestDoctorSaysWhatARealServerDoesNotTell(t *testing.T) {
	e := zktest.StartEnsemble(t, 1, zktest.WithConfigLines("4lw.commands.whitelist=srvr", "maxSessionTimeout=5000"))
	zk := e.Servers()[0]
	tree(t, e, session.Create{Path: "/rpcx", ACL: []session.ACL{anyone(session.PermAll)}})
	if version := doctorOf(t, zk).Servers[0].Version; !atLeast(version, 3, 5) {
		t.Skipf("%s allows every word", version)
	}
	wants(t, exitOK, []string{"doctor", "--zk", zk}, "does not tell its limits", "allow srvr, conf and cons in its 4lw.commands.whitelist", "60 connections from one machine (maxClientCnxns)",
		"timeout 5s where 10s was asked for")
}

func doctorOf(t *testing.T, zk string) examination {
	t.Helper()
	_, out, _ := holdfast(t, "doctor", "--zk", zk, "--json", "--timeout", "1s")
	var got examination
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// A server that is alone of three runs, and does not serve.
func TestDoctorTellsOfAServerWithoutQuorum(t *testing.T) {
	e := zktest.StartEnsemble(t, 3)
	tree(t, e, session.Create{Path: "/rpcx", ACL: []session.ACL{anyone(session.PermAll)}})
	all := strings.Join(e.Servers(), ",")
	wants(t, exitOK, []string{"doctor", "--zk", all}, ", leader", ", follower")
	if err := e.Kill(0); err != nil {
		t.Fatal(err)
	}
	wants(t, exitFindings, []string{"doctor", "--zk", all}, "problem: server "+e.Servers()[0], "refused", "does it run?", "session with ")
	if err := e.Kill(1); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(findings(doctorOf(t, e.Servers()[2])), "runs and does not serve"); {
		if time.Now().After(deadline) {
			t.Fatal("it is not said that the last one does not serve")
		}
	}
	wants(t, exitUnreachable, []string{"doctor", "--zk", e.Servers()[2], "--timeout", "2s"}, "it has no quorum", "does most of the ensemble run", "no session: ")
}

// A process that is stopped is listened for by its kernel.
func TestDoctorTellsOfAServerThatHangs(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	if err := e.Pause(0); err != nil {
		t.Fatal(err)
	}
	wants(t, exitUnreachable, []string{"doctor", "--zk", e.Servers()[0], "--timeout", "2s"}, "listens, and answers nothing", "is its process stopped or starved")
}

func findings(e examination) string {
	var b strings.Builder
	for _, f := range e.Findings {
		b.WriteString(f.Level + ": " + f.What + "\n")
	}
	return b.String()
}
