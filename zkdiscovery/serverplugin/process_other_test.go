//go:build !unix

package serverplugin

import (
	"os"
	"testing"
)

func pause(t *testing.T, _ *os.Process)  { t.Helper() }
func resume(t *testing.T, _ *os.Process) { t.Helper() }
