//go:build !unix

package zktest

import (
	"errors"
	"fmt"
	"runtime"
)

func (p *process) pause() error {
	return fmt.Errorf("a process cannot be paused on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func (p *process) resume() error {
	return fmt.Errorf("a process cannot be resumed on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
