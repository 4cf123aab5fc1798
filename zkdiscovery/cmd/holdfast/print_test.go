package main

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestLinesAreFoldedAtTheWidthOfTheTerminal(t *testing.T) {
	for _, tc := range []struct {
		rule, text string
		columns    int
		want       string
	}{
		{"short ones stay", "ab cd", 5, "ab cd"},
		{"the width is not known", "ab cd ef", 0, "ab cd ef"},
		{"less room than the indentation", "ab cd ef", 2, "ab cd ef"},
		{"at spaces", "ab cd ef", 5, "ab cd\n  ef"},
		{"a word that fits nowhere is cut", "abcdefgh", 5, "abcde\n  fgh"},
		{"behind another, too", "ab cdefghij", 5, "ab\n  cde\n  fgh\n  ij"},
		{"spaces stay", "a  b", 9, "a  b"},
		{"runes are not cut", "äöüäöü", 4, "äöüä\n  öü"},
		{"an indented text", "    ab cd", 7, "    ab\n  cd"},
	} {
		if got := fold(tc.text, tc.columns, 2); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.rule, got, tc.want)
		}
	}
}

func TestAResultThatCannotBeWrittenIsAFailure(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no other system has /dev/full")
	}
	zk, dir := zktest.Start(t), t.TempDir()
	if err := zk.Put("/rpcx/Arith/tcp@127.0.0.1:1", []byte("weight=5")); err != nil {
		t.Fatal(err)
	}
	cacheOf(t, dir, zk.Addr())
	for _, command := range []string{
		"list", "list --json", "compare --service Arith", "watch --service Arith --changes 1", "doctor", "undrain --service Arith tcp@127.0.0.1:1",
		"file show --service Arith --cache-dir DIR", "file verify --service Arith --cache-dir DIR",
		"override set --from-file --service Arith --cache-dir DIR", "override clear --service Arith --cache-dir DIR",
		"remove --service Arith tcp@127.0.0.1:1",
	} {
		args := strings.Fields(strings.ReplaceAll(command, "DIR", dir) + " --zk " + zk.Addr())
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		var diag strings.Builder
		code := run(t.Context(), args, full, &diag, os.Getenv)
		if err := full.Close(); code != exitFailed || err != nil || !strings.Contains(diag.String(), "no space left") {
			t.Errorf("holdfast %s: exit code %d, %v\n%s", command, code, err, &diag)
		}
	}
}
