package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/bench/internal/scenario"
)

func TestTheCommandLineSaysWhatIsMeasured(t *testing.T) {
	o, err := parse([]string{"-quick", "-scenario", "change", "-n", "7,70", "-rtt", "0,3ms", "-zk", "127.0.0.1:1,[::1]:2", "-out", "x"}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if len(o.scenarios) != 1 || o.scenarios[0].Number != 1 || o.plan.Name != "quick" || o.out != "x" {
		t.Errorf("%+v", o)
	}
	if p := o.plan; p.Sizes[1] != 70 || p.Delayed[0] != 7 || p.RoundTrips[1] != 3*time.Millisecond || o.zooKeeper[1] != "[::1]:2" {
		t.Errorf("%+v", o)
	}
	if o, err := parse([]string{"-scenario", "clients", "-clients", "77"}, t.Output()); err != nil || o.plan.Clients != 77 {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err = parse([]string{"-scenario", "scale,13"}, t.Output()); err != nil || len(o.scenarios) != 2 || !o.scenarios[0].Apart {
		t.Errorf("%+v, %v", o.scenarios, err)
	}
	if o, err = parse(nil, t.Output()); err != nil || o.plan.Name != "full" || len(o.scenarios) != len(scenario.Usual()) || o.zooKeeper != nil {
		t.Errorf("%+v, %v", o, err)
	}
}

// refused is an address where nobody listens.
func refused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestWhatIsWrongIsOneLineAndStatus2(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, says string }{
		{"-fast", "-fast"},
		{"fast", `"fast"`},
		{"-compare=", "two files"},
		{"-compare one", "two files"},
		{"-compare one,two -quick", "no other flag"},
		{"-compare missing/one,missing/two", "missing/one"},
		{"-scenario 1,99", `"99"`},
		{"-scenario=", `""`},
		{"-scenario change -n=", `""`},
		{"-scenario change -n 10,10", "twice"},
		{"-scenario change -rtt 0,0ms", "twice"},
		{"-scenario change -profile", "-profile means nothing here"},
		{"-n 0", `"0"`},
		{"-n 10,many", `"many"`},
		{"-n 999999", "20000"},
		{"-rtt 2", "duration"},
		{"-rtt -1ms", "duration"},
		{"-n 10", "-n means nothing to burst, outage"},
		{"-scenario 5 -n 10", "-n means nothing to outage"},
		{"-scenario change,cost -rtt 2ms", "-rtt means nothing to cost"},
		{"-scenario clients -clients -1", "at least 1"},
		{"-scenario clients -clients 0", "at least 1"},
		{"-scenario cost -clients 10", "-clients means nothing to cost"},
		{"-zk=", "host:port"},
		{"-zk nowhere", "host:port"},
		{"-zk 127.0.0.1:2181,127.0.0.1", "host:port"},
		{"-out=", "-out"},
		{"-out " + file, "-out"},
		{"-out " + filepath.Join(file, "below"), "-out"},
		{"-out " + t.TempDir() + " -zk " + refused(t), "no ZooKeeper answers"},
	} {
		t.Run(c.args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if status := run(t.Context(), strings.Fields(c.args), &stdout, &stderr); status != statusUsage {
				t.Errorf("status %d", status)
			}
			line := stderr.String()
			if stdout.Len() > 0 || strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, "bench: ") || !strings.Contains(line, c.says) {
				t.Errorf("said %q, and %q", stdout.String(), line)
			}
		})
	}
}

func TestHelpIsNoMistake(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := run(context.Background(), []string{"-h"}, &stdout, &stderr); status != statusOK || stderr.Len() > 0 {
		t.Errorf("status %d, %q", status, stderr.String())
	}
	for _, s := range []string{"-quick", "-scenario", "-n", "-rtt", "-zk", "-out", "1 change"} {
		if !strings.Contains(stdout.String(), s) {
			t.Errorf("help does not say %s:\n%s", s, stdout.String())
		}
	}
}
