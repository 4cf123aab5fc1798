//go:build !linux

package zktest

import "os/exec"

// dieWithParent does nothing: only Linux can tie a child's life to its parent's. A test process that is killed leaves its servers
// running here.
func dieWithParent(*exec.Cmd) {}

// awaitStop returns at once: a paused server may answer for another moment here.
func awaitStop(*process) error { return nil }
