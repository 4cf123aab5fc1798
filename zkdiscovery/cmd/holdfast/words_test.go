package main

import (
	"net/netip"
	"testing"
	"time"
)

const srvr38 = `Zookeeper version: 3.8.0-${mvngit.commit.id}, built on 2022-12-18 18:56 UTC
Latency min/avg/max: 0/0.0/0
Received: 4
Sent: 3
Connections: 1
Outstanding: 0
Zxid: 0x0
Mode: standalone
Node count: 5
`

func TestWhatAServerSaysOfItself(t *testing.T) {
	for _, tc := range []struct {
		rule, answer  string
		is            told
		version, mode string
	}{
		{"version and mode", srvr38, toldVersion, "3.8.0", "standalone"},
		{"an old one", "Zookeeper version: 3.4.13-2--1, built on Fri\nMode: follower\n", toldVersion, "3.4.13", "follower"},
		{"one that serves readers only", "Zookeeper version: 3.9.3, built\nMode: read-only\n", toldVersion, "3.9.3", "read-only"},
		{"a version without a mode", "Zookeeper version: 4", toldVersion, "4", ""},
		{"not allowed", "srvr is not executed because it is not in the whitelist.\n", toldNotAllowed, "", ""},
		{"no quorum", "This ZooKeeper instance is not currently serving requests\n", toldNotServing, "", ""},
		{"nothing", "", toldNothing, "", ""},
		{"something else", "-ERR unknown command 'srvr'\r\n", toldForeign, "", ""},
		{"a version in the middle of a line", "HTTP/1.1 400 Zookeeper version: 3.8.0", toldForeign, "", ""},
	} {
		if is, version, mode := readSrvr(tc.answer); is != tc.is || version != tc.version || mode != tc.mode {
			t.Errorf("%s: %v, %q, %q", tc.rule, is, version, mode)
		}
	}
}

func TestLimitsAreThoseOfConf(t *testing.T) {
	got, ok := readConf("clientPort=2181\ndataDir=/x=y\ntickTime=2000\nmaxClientCnxns=60\nminSessionTimeout=4000\nmaxSessionTimeout=40000\nserverId=0\n")
	if want := (limits{60, 4 * time.Second, 40 * time.Second}); !ok || got != want {
		t.Errorf("%+v, %v", got, ok)
	}
	for _, answer := range []string{"", "conf is not executed because it is not in the whitelist.\n", "maxClientCnxns=many\n"} {
		if got, ok := readConf(answer); ok {
			t.Errorf("%q: %+v", answer, got)
		}
	}
}

func TestConnectionsAreCountedByAddress(t *testing.T) {
	const cons = " /10.0.0.1:41000[1](queued=0,recved=2,sent=2,sid=0x1,lop=PING)\n /10.0.0.1:41001[0](queued=0)\n /10.0.0.11:41002[1](queued=0)\n" +
		" /0:0:0:0:0:0:0:1:41003[1](queued=0)\n\n"
	for of, want := range map[string]int{"10.0.0.1": 2, "10.0.0.11": 1, "::1": 1, "10.0.0.2": 0} {
		if n, known := readCons(cons, netip.MustParseAddr(of)); n != want || !known {
			t.Errorf("%s: %d, %v", of, n, known)
		}
	}
	if n, known := readCons("cons is not executed because it is not in the whitelist.\n", netip.MustParseAddr("10.0.0.1")); n != 0 || known {
		t.Errorf("%d, %v", n, known)
	}
}

func TestVersionsAreComparedByTheirNumbers(t *testing.T) {
	for version, want := range map[string]bool{
		"3.7": true, "3.7.0": true, "3.8.0": true, "3.10": true, "4": true, "3.6.4": false, "3": false, "2.9": false, "": false, "x": false, "3.x": false,
	} {
		if got := atLeast(version, 3, 7); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
}
