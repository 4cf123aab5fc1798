// Command example is the outage drill: real rpcx servers and clients in one process, called all the time while servers and then ZooKeeper
// itself die and come back. It tells what happens as it happens, counts every call, checks what the library promises, and ends by itself.
//
//	go run ./example                        on a ZooKeeper in this process
//	go run ./example -zk host:2181,...      on a real one, which is left as it was
//	go run ./example -status 127.0.0.1:0    with the status page, whose address is printed
//	go run ./example -lang zh               in Chinese
//
// It exits with status 0 when every promise was kept, 1 when one was broken or the drill could not be held, 2 for bad arguments and 130 when
// interrupted, or when nobody reads on (go run ./example | head). It leaves nothing behind then either. The programs to copy from are in example/server and example/client.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/smallnest/rpcx/log"
)

// The exit statuses besides 0.
const (
	statusBroken      = 1
	statusUsage       = 2
	statusInterrupted = 130
)

// silence is for the library, whose warnings would stand between the drill's own lines.
var silence = slog.New(slog.DiscardHandler)

const shortestStep = 100 * time.Millisecond

func main() {
	log.SetDummyLogger() // rpcx logs to standard output that connections end, which they do here on purpose
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)   // a second ^C ends the process at once
	signal.Ignore(syscall.SIGPIPE) // it would end the process at once: a write that fails ends the drill, which tidies up
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the program without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	s, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		say(stderr, "example: %v (-h explains)\n", err)
		return statusUsage
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tale := newNarrator(output{stdout, cancel}, colourful(stdout), s.language)
	d := newDrill(s.step, tale)
	if s.page != "" {
		var url string
		if url, err = d.status.serve(ctx, s.page); err != nil {
			say(stderr, "example: %v\n", err)
			return statusUsage
		}
		tale.heading("The status page is at %s", url)
	}
	err = d.hold(ctx, s.zk)
	if ctx.Err() != nil {
		err = errors.New("interrupted") // whatever that has led to
	}
	if tidied := d.close(); err == nil && tidied == nil {
		status = judge(&d.outcome, tale)
	} else {
		err, status = errors.Join(err, tidied), statusBroken
	}
	if ctx.Err() != nil {
		status = statusInterrupted
	}
	if lost, is := errors.AsType[lostOutput](context.Cause(ctx)); is {
		if err = lost; !errors.Is(lost.error, syscall.EPIPE) {
			status = statusBroken
		} else {
			err = nil // as with other programs: somebody has read enough
		}
	}
	if err != nil {
		say(stderr, "example: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return status
}

// output ends the drill when a write fails.
type output struct {
	io.Writer
	end context.CancelCauseFunc
}

// Write implements io.Writer.
func (o output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil {
		o.end(lostOutput{err})
	}
	return n, err
}

// lostOutput is why what the drill says cannot be written.
type lostOutput struct{ error }

func (l lostOutput) Unwrap() error { return l.error }

// judge reports the outcome, and is the program's status.
func judge(o *outcome, tale *narrator) (status int) {
	promises := o.promises(tale.words)
	tale.report(o, promises)
	if slices.ContainsFunc(promises, func(p promise) bool { return !p.kept }) {
		return statusBroken
	}
	return 0
}

// settings are what the flags say.
type settings struct {
	zk   []string      // a real ZooKeeper's servers, the last perhaps with a chroot; none: one in this process
	step time.Duration // how long each step is watched
	page string        // where to serve the status page; none: nowhere

	language words
}

func parse(args []string, stderr io.Writer) (settings, error) {
	flags := flag.NewFlagSet("example", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // its errors come back, and are printed once
	zk := flags.String("zk", "", "hold the drill on the real ZooKeeper at `host:port,...` instead of one in this process;\nit is cut off by a proxy in between, and left as it was")
	step := flags.Duration("step", 1500*time.Millisecond, "how long to watch each step")
	page := flags.String("status", "", "serve the status page at `host:port`, 127.0.0.1:0 for a free one, while the drill is held")
	lang := flags.String("lang", "en", "tell it in `en` or zh (用中文讲述)")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		say(stderr, "The outage drill: calls go on while servers and ZooKeeper die and come back. Flags:\n")
		flags.SetOutput(stderr)
		flags.PrintDefaults()
		return settings{}, err
	case err != nil:
		return settings{}, err
	case flags.NArg() > 0:
		return settings{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *step < shortestStep:
		return settings{}, fmt.Errorf("-step %v: at least %v", *step, shortestStep)
	}
	language, ok := languages[*lang]
	if !ok {
		return settings{}, fmt.Errorf("-lang %q: en and zh are there", *lang)
	}
	s := settings{step: *step, page: *page, language: language}
	if *zk == "" {
		return s, nil
	}
	s.zk = strings.Split(*zk, ",")
	for i, server := range s.zk {
		addr := server
		if i == len(s.zk)-1 {
			addr, _, _ = strings.Cut(server, "/")
		}
		host, port, err := net.SplitHostPort(addr)
		if n, _ := strconv.ParseUint(port, 10, 16); err != nil || host == "" || n == 0 {
			return settings{}, fmt.Errorf("-zk %q: %q is not host:port, with a chroot on the last one if any", *zk, server)
		}
	}
	return s, nil
}

// say writes a text. That it cannot be written is noticed by output.
func say(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }

// colourful reports whether w is a terminal whose user has not asked for plain text (https://no-color.org).
func colourful(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	fi, err := f.Stat()
	return err == nil && fi.Mode()&os.ModeCharDevice != 0
}
