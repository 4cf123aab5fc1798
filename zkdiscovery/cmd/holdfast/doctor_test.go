package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// is wants findings of these levels, in this order, with these words in the last of them.
func is(t *testing.T, rule string, found []finding, words string, levels ...string) {
	t.Helper()
	var got []string
	for _, f := range found {
		got = append(got, f.Level)
		if (f.Do == "") != (f.Level == levelOK) {
			t.Errorf("%s: what is not well says what to do, and nothing else does: %+v", rule, f)
		}
	}
	if !slices.Equal(got, levels) || len(found) > 0 && !strings.Contains(found[len(found)-1].What, words) {
		t.Errorf("%s: %+v, want %q with %q", rule, found, levels, words)
	}
}

func cons(n int) string { return strings.Repeat(" /10.0.0.1:4000[1](queued=0)\n", n) }

func TestDoctorReadsWhatAServerAnswers(t *testing.T) {
	const conf = "maxClientCnxns=60\nminSessionTimeout=4000\nmaxSessionTimeout=40000\n"
	for _, tc := range []struct {
		rule   string
		heard  heard
		words  string
		levels []string
	}{
		{"nobody there", heard{err: errors.New("connection refused")}, "refused", []string{levelProblem}},
		{"hangs up on every word", heard{}, "neither its version nor its limits", []string{levelOK, levelHint}},
		{"says nothing", heard{silent: true}, "answers nothing", []string{levelProblem}},
		{"a word that is not allowed", heard{srvr: "srvr is not executed because it is not in the whitelist.\n"}, "neither", []string{levelOK, levelHint}},
		{"without quorum", heard{srvr: "This ZooKeeper instance is not currently serving requests\n"}, "no quorum", []string{levelProblem}},
		{"not ZooKeeper", heard{srvr: "-ERR"}, "not as ZooKeeper does: -ERR", []string{levelProblem}},
		{"limits are not told", heard{srvr: srvr38}, "does not tell its limits", []string{levelOK, levelHint}},
		{"a few connections", heard{srvr: srvr38, conf: conf, cons: cons(47)}, "4s to 40s and 60 connections from one machine; from this one, 10.0.0.1, it has 47", []string{levelOK, levelOK}},
		{"most of them", heard{srvr: srvr38, conf: conf, cons: cons(48)}, "it has 48", []string{levelOK, levelHint}},
		{"all of them", heard{srvr: srvr38, conf: conf, cons: cons(60)}, "it has 60", []string{levelOK, levelProblem}},
		{"connections are not told", heard{srvr: srvr38, conf: conf}, "60 connections from one machine", []string{levelOK, levelOK}},
		{"no limit", heard{srvr: srvr38, conf: strings.Replace(conf, "60", "0", 1), cons: cons(99)}, "any number of connections", []string{levelOK, levelOK}},
	} {
		tc.heard.local = netip.MustParseAddr("10.0.0.1")
		s, found := tc.heard.findings()
		is(t, tc.rule, found, tc.words, tc.levels...)
		if s.Reachable != (tc.heard.err == nil) {
			t.Errorf("%s: %+v", tc.rule, s)
		}
	}
}

func TestServersAreOfOneEnsemble(t *testing.T) {
	for _, tc := range []struct {
		rule, modes, versions string
		words                 string
		levels                []string
	}{
		{"one", "standalone", "3.8.0", "", nil},
		{"three", "leader follower follower", "3.8.0 3.8.0 3.8.0", "", nil},
		{"of one nothing is told", "leader ? follower", "3.8.0 ? 3.8.0", "", nil},
		{"one stands alone", "leader standalone", "3.8.0 3.8.0", "s1 stands alone", []string{levelProblem}},
		{"two leaders", "leader leader follower", "3.8.0 3.8.0 3.8.0", "s0, s1 are leaders", []string{levelProblem}},
		{"during an upgrade", "follower leader follower", "3.8.0 3.9.3 3.9.3", "3.8.0, 3.9.3, 3.9.3", []string{levelHint}},
	} {
		var all []*member
		for i, mode := range strings.Fields(tc.modes) {
			all = append(all, &member{fmt.Sprint("s", i), true, strings.Trim(strings.Fields(tc.versions)[i], "?"), strings.Trim(mode, "?")})
		}
		is(t, tc.rule, together(all), tc.words, tc.levels...)
	}
}

func TestASessionIsComparedWithWhatWasAskedFor(t *testing.T) {
	all, none := session.Extension{Lasting: true, Batches: true}, session.Extension{}
	given := []session.Auth{{Scheme: "digest", Credentials: []byte("ops:s3cret")}}
	at := time.Unix(1000, 0)
	for _, tc := range []struct {
		rule  string
		found finding
		level string
		words string
	}{
		{"the timeout", sessionFinding(session.State{Server: "zk:2181", Timeout: 10 * time.Second}, 10*time.Second), levelOK, "zk:2181, timeout 10s"},
		{"another timeout", sessionFinding(session.State{Timeout: 4 * time.Second}, 10*time.Second), levelHint, "timeout 4s where 10s"},
		{"the extension", wireFinding(all, "3.8.0", false), levelOK, "persistent watches, batched reads"},
		{"the extension of a server that does not tell its version", wireFinding(all, "", false), levelOK, "persistent watches"},
		{"a server before it", wireFinding(none, "3.5.9", false), levelOK, "one-shot watches, single reads"},
		{"a server that should have it", wireFinding(none, "3.9.3", false), levelHint, "though ZooKeeper 3.9.3"},
		{"forbidden", wireFinding(none, "3.9.3", true), levelOK, "HOLDFAST_WIRE=off"},
		{"nobody in particular", identityFinding([]string{"ip:10.0.0.1"}, nil), levelOK, "for ip:10.0.0.1"},
		{"somebody", identityFinding([]string{"digest:ops", "ip:10.0.0.1"}, given), levelOK, "has not looked at the password"},
		{"somebody else", identityFinding([]string{"ip:10.0.0.1"}, given), levelProblem, "and not for digest:ops"},
		{"another scheme tells its own name", identityFinding([]string{"sasl:me"}, []session.Auth{{Scheme: "sasl", Credentials: []byte("x")}}), levelOK, "sasl:me"},
		{"clocks", clockFinding(at, at.Add(-time.Second), at.Add(time.Second)), levelOK, "agree"},
		{"clocks within what is usual", clockFinding(at, at.Add(2*time.Second), at.Add(3*time.Second)), levelOK, "agree"},
		{"a clock that is behind", clockFinding(at, at.Add(3*time.Second), at.Add(4*time.Second)), levelProblem, "differ by 3s"},
		{"one that is ahead", clockFinding(at, at.Add(-time.Hour), at.Add(-time.Hour)), levelProblem, "differ by 1h0m0s"},
	} {
		is(t, tc.rule, []finding{tc.found}, tc.words, tc.level)
		if strings.Contains(tc.found.What, "s3cret") {
			t.Errorf("%s: %+v", tc.rule, tc.found)
		}
	}
}
