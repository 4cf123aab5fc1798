package report

import (
	"context"
	"net"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/bench/internal/result"
)

// Machine describes this one, as far as it tells, and asks a ZooKeeper for its version.
func Machine(ctx context.Context, zooKeeper string) result.Machine {
	m := result.Machine{
		OS: runtime.GOOS + "/" + runtime.GOARCH, CPU: "unknown processor", Cores: runtime.NumCPU(), Go: runtime.Version(),
		ZooKeeper: zooKeeperVersion(ctx, zooKeeper), Versions: make(map[string]string),
	}
	if s, ok := field("/proc/cpuinfo", "model name"); ok {
		m.CPU = s
	}
	if s, ok := field("/proc/meminfo", "MemTotal"); ok {
		kb, _ := strconv.ParseInt(strings.TrimSuffix(s, " kB"), 10, 64)
		m.MemoryMB = kb / 1024
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			switch d.Path {
			case "github.com/smallnest/rpcx", "github.com/rpcxio/rpcx-zookeeper", "github.com/go-zookeeper/zk", "github.com/holdfast-go/holdfast":
				m.Versions[d.Path] = d.Version
			}
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				m.Versions["github.com/holdfast-go/holdfast"] = s.Value
			}
		}
	}
	return m
}

// field is the value of the first line "name : value" of a file below /proc.
func field(file, name string) (string, bool) {
	b, err := os.ReadFile(file) //nolint:gosec // of this package's choice
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v), true
		}
	}
	return "", false
}

var version = regexp.MustCompile(`version: ([0-9.]+)`)

// zooKeeperVersion is what srvr answers; not every server is allowed to.
func zooKeeperVersion(ctx context.Context, addr string) string {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return "of unknown version"
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("srvr")); err != nil {
		return "of unknown version"
	}
	buf := make([]byte, 4096)
	n, _ := conn.Read(buf)
	if found := version.FindSubmatch(buf[:n]); found != nil {
		return string(found[1])
	}
	return "of unknown version"
}
