package zktest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJournalTellsEveryTransaction(t *testing.T) {
	var journal []string
	zxids := make(map[int64]bool)
	note := func(c Commit) {
		line := ""
		if c.Replaced {
			line = "replaced "
		} else if zxids[c.Zxid] {
			t.Errorf("two commits with zxid %d", c.Zxid)
		}
		zxids[c.Zxid] = true
		for _, ch := range c.Changes {
			if ch.Path == "/" {
				continue
			}
			line += ch.Path
			if ch.Deleted {
				line += " deleted "
			} else {
				line += "=" + string(ch.Data) + " "
			}
		}
		journal = append(journal, line)
	}
	bubble(t, func(t *testing.T, s *Server) {
		mustDo(t, s.Put("/a/b", []byte("1")))
		mustDo(t, s.Set("/a/b", []byte("2")))
		s.Checkpoint()
		mustDo(t, s.Delete("/a/b"))
		if s.Delete("/a/b") == nil {
			t.Error("deleted twice")
		}
		w := pipe(t, s)
		mustDo(t, w.handshake(connectRequest{timeoutMs: 10_000}))
		w.must(t, newEphemeral("/w"))
		s.ExpireAll()
		s.Rollback()
		s.Wipe()
	}, WithJournal(note))
	want := []string{
		"/a= ", "/a/b=1 ", "/a/b=2 ", "/a/b deleted ", "/w=x ", "/w deleted ", "replaced /a= /a/b=2 ", "replaced ",
	}
	for i, line := range journal {
		if line == "replaced /a/b=2 /a= " { // in no order
			journal[i] = want[6]
		}
	}
	if diff := cmp.Diff(want, journal); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestForgottenWatchesTellNothing(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		mustDo(t, s.Put("/a", []byte("1")))
		w := pipe(t, s)
		mustDo(t, w.handshake(connectRequest{timeoutMs: 10_000}))
		w.watch(t, "/a")
		s.ForgetWatches()
		mustDo(t, s.Set("/a", []byte("2")))
		if n := s.Stats().Notifications; n != 0 {
			t.Errorf("%d notifications", n)
		}
	})
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
