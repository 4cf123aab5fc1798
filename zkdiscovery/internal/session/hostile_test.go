package session

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// go-zookeeper says nothing, or a word that nobody understands, when it is told what makes no sense. So the link refuses it.
func TestLinkRefusesWhatNobodyHasAskedForAndEventsThatMakeNoSense(t *testing.T) {
	theirs := sealed(newFrame(7, opExists))
	for _, tc := range []struct {
		what string
		sent []byte
		want string // in the error
	}{
		{"an answer to nothing", reply(8, 0, ""), "request 8"},
		{"the same answer twice", slices.Concat(reply(7, 0, ""), reply(7, 0, "")), "request 7"},
		{"an answer to no client's request", reply(-3, 0, ""), "request -3"},
		{"an event without a body", reply(-1, 0, ""), "0 bytes"},
		{"an event with half a path", reply(-1, 0, string(event(3, "/app/node")[4+replyHeader:][:15])), "path"},
		{"an event with a path of 2 GB", reply(-1, 0, "\x00\x00\x00\x03\x00\x00\x00\x03\x7f\xff\xff\xff/app"), "path"},
		{"an event without a path", reply(-1, 0, "\x00\x00\x00\x03\x00\x00\x00\x03\xff\xff\xff\xff"), "path"},
		{"an event of a kind that there is not", event(99, "/app"), "kind 99"},
		{"the same, less than nothing", event(-2, "/app"), "kind -2"},
	} {
		k, _ := testLink(append(welcome(4000, 5), tc.sent...), 1000)
		k.out.greeted = true
		_, err := k.Write(theirs)
		must(t, err)
		got, err := io.ReadAll(k)
		if !errors.Is(err, errForeign) || !strings.Contains(err.Error(), tc.want) || len(got) > len(welcome(4000, 5))+4+replyHeader {
			t.Errorf("%s: %v and %v after %d bytes", tc.what, err, k.cause, len(got))
		}
	}
}

// go-zookeeper ends the whole process when the answer to a transaction ends in the middle of a header.
func TestAnswerToATransactionIsWholeOrTheConnectionEnds(t *testing.T) {
	stat := string(appendStat(nil, someStat))
	header := func(op int32, done byte) string {
		return string(be.AppendUint32(append(be.AppendUint32(nil, uint32(op)), done), 0))
	}
	end := header(-1, 1)
	created := header(1, 0) + "\x00\x00\x00\x02/a"
	for _, tc := range []struct {
		what, body string
		whole      bool
	}{
		{"one of each", created + header(5, 0) + stat + header(2, 0) + header(13, 0) + end, true},
		{"one that failed", header(-1, 0) + "\xff\xff\xff\x9b" + end, true},
		{"many, more than a buffer has room for", strings.Repeat(created, 5000) + end, true},
		{"nothing", "", false},
		{"no end", created, false},
		{"many without an end", strings.Repeat(created, 5000), false},
		{"half a header", created + end[:4], false},
		{"half an error", header(-1, 0) + "\xff\xff", false},
		{"half a stat", header(5, 0) + stat[:40], false},
		{"half a path", header(1, 0) + "\x00\x00\x00\x09/a" + end, false},
		{"a path of less than nothing", header(1, 0) + "\xff\xff\xff\xff" + end, false},
		{"a path of 2 GB", header(1, 0) + "\x7f\xff\xff\xff" + end, false},
		{"a kind that there is not", header(77, 0) + end, false},
	} {
		answer := reply(7, 0, tc.body)
		sent := slices.Concat(welcome(4000, 5), answer, event(3, "/app"))
		want := sent
		if !tc.whole {
			want = welcome(4000, 5)
		}
		k, _ := testLink(sent, 1<<20)
		k.out.greeted = true
		_, err := k.Write(sealed(newFrame(7, opMulti)))
		must(t, err)
		got, err := io.ReadAll(k)
		if !bytes.Equal(got, want) || tc.whole != (err == nil) || !tc.whole && !errors.Is(err, errForeign) {
			t.Errorf("%s: %d bytes and not %d, %v", tc.what, len(got), len(want), err)
		}
	}
}

func TestProcessOutlivesAnAnswerToATransactionThatIsCut(t *testing.T) {
	for cut := range 60 {
		bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
			hostile := false
			cfg.Dial = wrapping(zk.Dial, func(c net.Conn) net.Conn {
				return filtered{c, func(frame []byte) []byte {
					if !hostile || i32(frame[4:]) < 0 {
						return frame
					}
					hostile = false
					return sealed(bytes.Clone(frame[:max(len(frame)-cut, 4+replyHeader)]))
				}}
			})
			s := connected(t, cfg)
			hostile = true
			ops := []Op{Create{Path: "/app/a", ACL: everybody}, Set{Path: "/app/a", Version: -1}, Delete{Path: "/app/a", Version: -1}}
			_, err := s.Write(t.Context(), 1, ops...)
			if whole := cut == 0; whole != (err == nil) || !whole && !errors.Is(err, ErrLost) {
				t.Errorf("without the last %d bytes: %v", cut, err)
			}
			settle(time.Minute)
			if st := s.State(); !st.Connected || st.Session != 1 || cut > 0 && !errors.Is(st.Err, errForeign) {
				t.Errorf("without the last %d bytes: %+v", cut, st)
			}
			if _, err := s.Write(t.Context(), 1, Create{Path: "/app/b", ACL: everybody}); err != nil {
				t.Error(err)
			}
		})
	}
}
