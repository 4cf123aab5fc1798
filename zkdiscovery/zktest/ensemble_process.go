package zktest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
)

// process is a child process and the goroutine that waits for it.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed by the goroutine when the process is gone and reaped
}

func startProcess(cmd *exec.Cmd) (*process, error) {
	dieWithParent(cmd)
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Linux kills the child when the thread that started it ends, not the process. The thread of a goroutine that ends while locked
		// to it (the way to undo setns and the like) ends too; so this one is ours for as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // it is killed, always: how it ended is no news
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// kill returns when the process is gone.
func (p *process) kill() error {
	// Killing the dead is no error; after any other the wait would be endless.
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.done
	return nil
}

// port is a number that no other ensemble uses, in this process or another, until it is released.
//
// The claim is a UDP socket of the same number: while a server is killed, nobody listens on its TCP port, and a parallel test could take
// it. A claim needs no file and ends with the process, and since the numbers are below the range from which kernels choose
// themselves (32768 and up), neither listeners on port 0 nor outgoing connections meet it.
type port struct {
	number int
	claim  net.PacketConn
}

func claimPort() (*port, error) {
	const first, last, tries = 15000, 32000, 200
	var listen net.ListenConfig
	var err error
	for range tries {
		number := first + rand.IntN(last-first)
		var claim net.PacketConn
		if claim, err = listen.ListenPacket(context.Background(), "udp", loopback(number)); err != nil {
			continue
		}
		var l net.Listener
		if l, err = listen.Listen(context.Background(), "tcp", loopback(number)); err != nil {
			claim.Close()
			continue
		}
		l.Close()
		return &port{number: number, claim: claim}, nil
	}
	return nil, fmt.Errorf("zktest: no free port in %d tries: %w", tries, err)
}

func (p *port) release() { p.claim.Close() }
