package zktest

import (
	"errors"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dieWithParent makes the kernel kill the process when the thread that started it ends, so that nothing is left running when a test
// process panics or is killed.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// awaitStop waits until a process that was sent SIGSTOP has stopped: the signal reaches its threads one by one, and until the last has
// it a server may still answer.
func awaitStop(p *process) error {
	deadline := time.Now().Add(5 * time.Second)
	for !p.ended() && time.Now().Before(deadline) {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, &info, unix.WSTOPPED|unix.WNOHANG, nil)
		switch {
		case err == nil && info.Signo != 0: // without news, WNOHANG returns with info empty
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return errors.New("did not stop")
}
