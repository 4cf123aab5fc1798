package zktest

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// shellNoise is what other distributions than Debian's print besides: log lines, which begin with a date, and prompts.
var shellNoise = regexp.MustCompile(`^\d{4}-\d\d-\d\d .*|\[zk: [^\]]*\]`)

// Another client than Go's, which has ideas of its own about what to send: ZooKeeper's shell, written in Java.
func TestZooKeepersOwnShellSeesNoDifference(t *testing.T) {
	real := StartEnsemble(t, 1)
	ours := Start(t)
	install, err := findInstallation(os.Getenv("ZOOKEEPER_HOME"))
	if err != nil {
		t.Fatal(err)
	}
	script := strings.Join([]string{
		"create /a x", "create -e /a/e y", "create -s /a/s- z", "create -s -e /a/t- z", "create /a again", "create /no/parent x", "create /a/e/child x",
		"ls -s /a", "ls -R /", "get -s /a", "get -w /a", "ls -w /a", "stat -w /a/e", "stat /nothing",
		"set /a x2", "set -s -v 7 /a x3", "set -v 1 /a x4", "delete /a/e", "delete /a", "delete -v 9 /a/s-0000000001",
		"getAcl -s /a", "addauth digest ann:secret", "create /mine q auth:ann:secret:crdwa", "getAcl /mine", "setAcl -s /mine world:anyone:r", "set /mine q2",
		"create -c /container", "create /container/1", "delete /container/1", "stat /container",
		"sync /", "deleteall /a", "ls /", "close", "quit", "",
	}, "\n")

	said := func(addr string) []string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, install.java, "-Xmx64m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
			"-cp", install.classPath, "org.apache.zookeeper.ZooKeeperMain", "-server", addr)
		cmd.Stdin = strings.NewReader(script)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Logf("%s", out)
		var lines []string
		for line := range strings.Lines(strings.ReplaceAll(string(out), addr, "ADDR")) {
			line = strings.TrimSpace(shellNoise.ReplaceAllString(line, ""))
			switch name, _, _ := strings.Cut(line, " = "); name {
			case "ctime", "mtime", "ephemeralOwner": // differ
			case "", "WATCHER::", "WatchedEvent state:Closed type:None path:null": // the last may come too late to be printed
			default:
				lines = append(lines, line)
			}
		}
		slices.Sort(lines) // what watches say is printed by another thread
		return lines
	}
	want, got := said(real.Servers()[0]), said(ours.Addr())
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("real (-) and ours (+) differ\n%s", diff)
	}
	if len(want) < 60 {
		t.Errorf("only %d lines: does the shell understand the script?", len(want))
	}
}
