package zktest

import (
	"testing"
)

// dialPipe opens a session with s.
func dialPipe(t *testing.T, s *Server) *wire {
	t.Helper()
	nc, err := s.Dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(t, nc)
	if err := w.handshake(connectRequest{timeoutMs: 10000}); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestVersionsDifferInWhatTheyKnow(t *testing.T) {
	readAll := &request{kind: OpMultiRead, parts: []request{{kind: OpGetData, path: "/"}}}
	for _, c := range []struct {
		opts              []Option
		r                 *request
		code              Code
		stays, hasNewNode bool
	}{
		{[]Option{WithVersion(Version34)}, &request{kind: OpAddWatch, path: "/a", version: 1}, CodeUnimplemented, false, false},
		{[]Option{WithVersion(Version34)}, &request{kind: OpRemoveWatches, path: "/a", version: 3}, CodeUnimplemented, false, false},
		{[]Option{WithVersion(Version35)}, &request{kind: OpAddWatch, path: "/a", version: 1}, CodeUnimplemented, false, true},
		{[]Option{WithVersion(Version35)}, readAll, CodeUnimplemented, false, true},
		{[]Option{WithVersion(Version38)}, &request{kind: OpAddWatch, path: "/a", version: 1}, CodeOK, true, true},
		{[]Option{WithVersion(Version39)}, readAll, CodeOK, true, true},
		{[]Option{WithOptimizedWatches()}, &request{kind: OpAddWatch, path: "/a", version: 1}, CodeMarshallingError, true, true},
		{[]Option{WithOptimizedWatches()}, readAll, CodeOK, true, true},
	} {
		s := NewServer(c.opts...)
		w := dialPipe(t, s)
		list, err := w.call(c.r.kind, c.r.encode())
		if err != nil || len(list) != 1 || list[0].code != c.code {
			t.Errorf("%v of %v: %v %v, want %v", c.r.kind, s.cfg.version, list, err, c.code)
		}
		if list, err = w.call(OpExists, exists(configPath).encode()); (err == nil) != c.stays {
			t.Errorf("%v of %v: the next request %v %v", c.r.kind, s.cfg.version, list, err)
		}
		if _, err := s.Get(configPath); (err == nil) != c.hasNewNode {
			t.Errorf("%v: %s %v", s.cfg.version, configPath, err)
		}
		s.Close()
	}
}

func TestServerThatIsUpgradedKeepsTreeAndSessions(t *testing.T) {
	s := NewServer(WithVersion(Version34))
	defer s.Close()
	w := dialPipe(t, s)
	r := create("/a", 0)
	if list, err := w.call(OpCreate, r.encode()); err != nil || list[0].code != CodeOK {
		t.Fatal(list, err)
	}
	s.SetVersion(Version39)
	if list, err := w.call(OpExists, exists("/a").encode()); err == nil {
		t.Errorf("the connection was not cut: %v", list)
	}
	if got := s.Stats().Sessions; got != 1 {
		t.Errorf("%d sessions", got)
	}
	w = dialPipe(t, s)
	for path, want := range map[string]Code{"/a": CodeOK, configPath: CodeOK} {
		if list, err := w.call(OpExists, exists(path).encode()); err != nil || list[0].code != want {
			t.Errorf("%s: %v, %v", path, list, err)
		}
	}
	s.SetVersion(Version34)
	if _, err := s.Get(configPath); err == nil {
		t.Errorf("%s is still there", configPath)
	}
}

func TestEventsAreThoseOfTheVersion(t *testing.T) {
	for _, c := range []struct {
		opts []Option
		path string
		zxid int64
	}{
		{nil, "/a/b", -1},
		{[]Option{WithVersion(Version39)}, "/a/b", 3},
		{[]Option{WithWatchPaths()}, "/a", -1},
	} {
		s := NewServer(c.opts...)
		w := dialPipe(t, s)
		w.must(t, &request{kind: OpAddWatch, path: "/a", version: 1})
		if err := s.Put("/a/b", nil); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"/a", c.path} {
			a, err := w.answer()
			d := decoder{b: a.body}
			d.int64()
			if got := d.string(); err != nil || got != want || got == "/a/b" && a.zxid != c.zxid {
				t.Errorf("%v: told of %q with zxid %d, %v; want %q with %d", s.cfg.version, got, a.zxid, err, want, c.zxid)
			}
		}
		s.Close()
	}
}
