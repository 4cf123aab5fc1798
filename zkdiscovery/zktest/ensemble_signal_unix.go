//go:build unix

package zktest

import "syscall"

func (p *process) pause() error {
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	return awaitStop(p)
}

func (p *process) resume() error { return p.cmd.Process.Signal(syscall.SIGCONT) }
