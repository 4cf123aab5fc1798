package zktest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

var (
	errPortTaken  = errors.New("a port was taken")
	errNotServing = errors.New("running, not serving")
	errNotRunning = errors.New("not running")
)

// member is one real server: its place on the network and the disk for good, and its process for as long as it runs. Ensemble.mu guards
// install, proc and paused.
type member struct {
	index                    int
	logger                   *slog.Logger
	client, quorum, election *port // the latter two are used by an ensemble of three only
	dataDir, config, log     string

	install installation
	proc    *process // nil before the first start
	paused  bool
}

func newMember(index int, dir string, c ensembleConfig, install installation) (*member, error) {
	name := fmt.Sprintf("server%d", index)
	m := &member{
		index:   index,
		install: install,
		logger:  c.logger.With("server", index),
		dataDir: filepath.Join(dir, name),
		config:  filepath.Join(dir, name+".cfg"),
		log:     filepath.Join(cmp.Or(c.logDir, dir), name+".log"),
	}
	for _, p := range []**port{&m.client, &m.quorum, &m.election} {
		free, err := claimPort()
		if err != nil {
			m.release()
			return nil, err
		}
		*p = free
	}
	return m, nil
}

// release gives the ports up.
func (m *member) release() {
	for _, p := range []*port{m.client, m.quorum, m.election} {
		if p != nil {
			p.release()
		}
	}
}

func (m *member) addr() string { return loopback(m.client.number) }

func (m *member) writeConfig(c ensembleConfig, members []*member) error {
	ms := func(d time.Duration) int64 { return d.Milliseconds() }
	// A follower gives its leader up after syncLimit ticks: long enough for a loaded machine, short enough for a test that pauses one.
	syncLimit := max(5, ms(3*time.Second)/ms(c.tick))
	lines := []string{
		fmt.Sprintf("tickTime=%d", ms(c.tick)),
		fmt.Sprintf("minSessionTimeout=%d", ms(c.minTimeout)),
		fmt.Sprintf("maxSessionTimeout=%d", ms(c.maxTimeout)),
		fmt.Sprintf("dataDir=%s", filepath.ToSlash(m.dataDir)),
		fmt.Sprintf("clientPort=%d", m.client.number),
		"clientPortAddress=127.0.0.1",
		"maxClientCnxns=0",
		"admin.enableServer=false",
		"4lw.commands.whitelist=*",
		// A killed process loses nothing that it wrote, synced or not; only a machine that loses its power does.
		"forceSync=no",
		// Transaction logs are allocated 64 MB at a time otherwise, which a small /tmp may not have.
		"preAllocSize=1024",
	}
	if len(members) > 1 {
		lines = append(lines, fmt.Sprintf("initLimit=%d", 4*syncLimit), fmt.Sprintf("syncLimit=%d", syncLimit))
		for _, o := range members {
			lines = append(lines, fmt.Sprintf("server.%d=127.0.0.1:%d:%d", o.index+1, o.quorum.number, o.election.number))
		}
	}
	lines = append(lines, c.lines...) // the last line with a key wins
	err := os.MkdirAll(m.dataDir, 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(m.dataDir, "myid"), []byte(strconv.Itoa(m.index+1)), 0o600)
	}
	if err == nil {
		err = os.WriteFile(m.config, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
	}
	if err != nil {
		return fmt.Errorf("zktest: %w", err)
	}
	return nil
}

// start runs the server's process, which must not be running. It does not wait until the server serves.
func (m *member) start(ctx context.Context, c ensembleConfig) error {
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own descriptor of it
	args := []string{
		// A small heap, a collector without threads of its own and no shared statistics file: 0.22 s to the first answer and 60 MB,
		// against 0.27 s and 65 MB. The optimising compiler stays on: leaving it out would save 20 ms here and cost every measurement.
		"-Xmx256m", "-XX:+UseSerialGC", "-XX:-UsePerfData",
		"-Djava.awt.headless=true", "-Dzookeeper.jmx.log4j.disable=true",
		"-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
		fmt.Sprintf("-Djute.maxbuffer=%d", c.maxFrame),
	}
	args = append(args, c.java...) // the last one of a kind wins
	args = append(args, "-cp", m.install.classPath, "org.apache.zookeeper.server.quorum.QuorumPeerMain", m.config)
	cmd := exec.CommandContext(ctx, m.install.java, args...) //nolint:gosec // running the Java that the environment names is the purpose
	cmd.Dir = m.dataDir
	cmd.Stdout, cmd.Stderr = log, log
	proc, err := startProcess(cmd)
	if err != nil {
		return err
	}
	m.proc, m.paused = proc, false
	m.logger.Info("server started", "addr", m.addr(), "log", m.log)
	return nil
}

func (m *member) running() bool { return m.proc != nil && !m.proc.ended() }

func (m *member) kill() error {
	if !m.running() {
		return nil
	}
	if err := m.proc.kill(); err != nil {
		return err
	}
	m.paused = false
	m.logger.Info("server killed")
	return nil
}

func (m *member) pause() error {
	if !m.running() {
		return errNotRunning
	}
	if err := m.proc.pause(); err != nil {
		return err
	}
	m.paused = true
	m.logger.Info("server paused")
	return nil
}

func (m *member) resume() error {
	if !m.running() {
		return errNotRunning
	}
	if err := m.proc.resume(); err != nil {
		return err
	}
	m.paused = false
	m.logger.Info("server resumed")
	return nil
}

// mode is what the server says it is: "standalone", "leader" or "follower". The error is errNotServing when it runs and does not serve.
func (m *member) mode(ctx context.Context, patience time.Duration) (string, error) {
	answer, err := m.command(ctx, "srvr", patience)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(answer) {
		if mode, ok := strings.CutPrefix(line, "Mode: "); ok {
			return strings.TrimSpace(mode), nil
		}
	}
	return "", fmt.Errorf("%w: %s", errNotServing, strings.TrimSpace(answer))
}

func (m *member) command(ctx context.Context, word string, patience time.Duration) (string, error) {
	deadline := time.Now().Add(patience)
	conn, err := (&net.Dialer{Deadline: deadline}).DialContext(ctx, "tcp", m.addr())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, word); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

// died tells why a process that should serve ended.
func (m *member) died() error {
	tail := m.logTail()
	why := errNotRunning
	if bytes.Contains(tail, []byte("Address already in use")) {
		why = errPortTaken
	}
	return fmt.Errorf("zktest: server %d ended: %w; the end of %s:\n%s", m.index, why, m.log, tail)
}

// logTail is the last few kilobytes of the log, from the beginning of a line.
func (m *member) logTail() []byte {
	const size = 4 << 10
	log, err := os.ReadFile(m.log)
	if err != nil {
		return []byte(err.Error())
	}
	if len(log) > size {
		log = log[len(log)-size:]
		log = log[bytes.IndexByte(log, '\n')+1:]
	}
	return log
}
