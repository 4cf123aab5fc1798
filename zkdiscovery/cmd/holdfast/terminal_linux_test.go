package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	"golang.org/x/sys/unix"
)

// terminal is a program in a pseudo-terminal: what it has written, as a person sees it.
type terminal struct {
	*os.File // the person's side
	cmd      *exec.Cmd
	read     sync.WaitGroup

	mu   sync.Mutex
	text strings.Builder
}

// inTerminal starts holdfast in a terminal of so many columns.
func inTerminal(t *testing.T, columns uint16, env []string, args ...string) *terminal {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() })
	number, err := unix.IoctlGetUint32(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0),
		unix.IoctlSetWinsize(int(person.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	binary := filepath.Join(t.TempDir(), "holdfast") // by this name the test is the command
	this, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(this, binary); err != nil {
		t.Fatal(err)
	}
	x := &terminal{File: person, cmd: exec.CommandContext(t.Context(), binary, args...)}
	x.cmd.Env = append(append(os.Environ(), "TERM=xterm"), env...)
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = program, program, program
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := x.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x.read.Go(func() {
		b := make([]byte, 4096)
		for {
			n, err := person.Read(b)
			x.mu.Lock()
			x.text.Write(b[:n])
			x.mu.Unlock()
			if err != nil { // EIO: the program has gone
				return
			}
		}
	})
	return x
}

func (x *terminal) screen() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.text.String()
}

// shows waits until something is on the screen.
func (x *terminal) shows(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(x.screen(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q is not on the screen:\n%s", text, x.screen())
		}
	}
}

// interrupt presses ^C, and wants the program to end in peace.
func (x *terminal) interrupt(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(x, "\x03"); err != nil {
		t.Fatal(err)
	}
	if err := x.cmd.Wait(); err != nil {
		t.Errorf("interrupted, it ends with %v", err)
	}
	x.read.Wait()
}

// fits wants no line to be wider than the terminal, colours apart.
func (x *terminal) fits(t *testing.T, columns int) {
	t.Helper()
	for line := range strings.Lines(x.screen()) {
		for _, colour := range []string{"\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m", "\r", "\n"} {
			line = strings.ReplaceAll(line, colour, "")
		}
		if utf8.RuneCountInString(line) > columns || strings.ContainsRune(line, '\x1b') {
			t.Errorf("%d columns: %q", utf8.RuneCountInString(line), line)
		}
	}
}

func TestWatchIsReadableInATerminal(t *testing.T) {
	const wide = "weight=5&zone=berlin-1&started=2026-11-29T03:00:00Z&comment=a%20long%20text%20that%20fits%20into%20no%20line"
	for _, tc := range []struct {
		rule             string
		columns          uint16
		env              []string
		came, went, long string
	}{
		{"colours, and lines that fit", 80, nil, "\x1b[32m + \x1b[0mtcp@127.0.0.1:8972 weight=5", "\x1b[31m - \x1b[0mtcp@127.0.0.1:8972", "tcp@127.0.0.2:8972\r\n    weight=5&zone"},
		{"NO_COLOR", 80, []string{"NO_COLOR=1"}, " + tcp@127.0.0.1:8972 weight=5", " - tcp@127.0.0.1:8972", "tcp@127.0.0.2:8972\r\n    weight=5&zone"},
		{"a terminal without colours", 80, []string{"TERM=dumb"}, " + tcp@127.0.0.1:8972 weight=5", " - tcp@127.0.0.1:8972", "tcp@127.0.0.2:8972\r\n    weight=5&zone"},
		{"a wide one", 200, nil, "\x1b[32m + \x1b[0mtcp@127.0.0.1:8972 weight=5", "\x1b[31m - \x1b[0mtcp@127.0.0.1:8972", "tcp@127.0.0.2:8972 weight=5&zone"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			zk := zktest.Start(t)
			put := func(path, data string) {
				if err := zk.Put("/rpcx/Arith/"+path, []byte(data)); err != nil {
					t.Fatal(err)
				}
			}
			put("tcp@127.0.0.1:8972", "weight=5")
			x := inTerminal(t, tc.columns, tc.env, "watch", "--zk", zk.Addr(), "--service", "Arith")
			x.shows(t, tc.came)
			put("tcp@127.0.0.2:8972", wide)
			x.shows(t, tc.long)
			put("tcp@\u202eevil", "\x1b[2Jtitle\x07")
			x.shows(t, `tcp@\u202eevil \u001b[2Jtitle\u0007`)
			if err := zk.Delete("/rpcx/Arith/tcp@127.0.0.1:8972"); err != nil {
				t.Fatal(err)
			}
			x.shows(t, tc.went)
			x.interrupt(t)
			x.fits(t, int(tc.columns))
			if strings.Contains(x.screen(), "\x1b[32m") != strings.Contains(tc.came, "\x1b") {
				t.Errorf("%q", x.screen())
			}
		})
	}
}

func TestDoctorFitsIntoATerminal(t *testing.T) {
	zk := zktest.Start(t)
	x := inTerminal(t, 80, nil, "doctor", "--zk", zk.Addr())
	if err := x.cmd.Wait(); x.cmd.ProcessState.ExitCode() != exitFindings {
		t.Error(err)
	}
	x.read.Wait()
	x.shows(t, "\x1b[31mproblem\x1b[0m: base path /rpcx does not exist")
	x.fits(t, 80)
}
