package zkdiscovery

import (
	"encoding/json"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// V1: json.Marshal(Status()) gave a number for the source and lost every reason.
func TestAStatusInJSONHasItsReasonsInWords(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	st := Status{
		Service: "/rpcx/Arith", Source: Stale, Instances: 3, Held: 1, Skipped: 2, Watchers: 4, Revision: 5, Zxid: 0x500000003, AsOf: at,
		Connected: true, Server: "zk:2181", SessionID: 0x181b15427400001, SessionTimeout: 10500 * time.Millisecond, Since: at, Sessions: 6,
		Connections: 7, FailedRounds: 8, CacheFile: "/c/list.json", OverrideFile: "/c/override.json", CacheSaved: at,
		CacheErr: &OpError{Op: "save", Path: "/c/list.json", Err: errors.New("disk full")}, LastErr: io.EOF, LastErrAt: at,
		SourceSince: at, HeldServers: []Held{{Key: "tcp@a:1", Since: at, Until: at, Reason: HeldSilent, Err: io.EOF}},
		History:  []ConnectionEvent{{At: at, Connected: true, NewSession: true, Server: "zk:2181", SessionID: 0x181b15427400001}},
		Wire:     "one-shot watches, batched reads",
		Counters: Counters{Lists: 9, Reads: 10, Checks: 11, Mended: 12, Saves: 13, SaveErrors: 14}, inert: true,
	}
	const want = `{
  "service": "/rpcx/Arith",
  "source": "stale",
  "instances": 3,
  "held": 1,
  "skipped": 2,
  "watchers": 4,
  "resuming": false,
  "revision": 5,
  "zxid": "0x500000003",
  "asOf": "2026-01-02T03:04:05Z",
  "sourceSince": "2026-01-02T03:04:05Z",
  "heldServers": [
    {
      "key": "tcp@a:1",
      "since": "2026-01-02T03:04:05Z",
      "until": "2026-01-02T03:04:05Z",
      "reason": "silent",
      "err": "EOF"
    }
  ],
  "template": false,
  "connected": true,
  "server": "zk:2181",
  "sessionID": "0x181b15427400001",
  "sessionTimeoutSeconds": 10.5,
  "since": "2026-01-02T03:04:05Z",
  "sessions": 6,
  "connections": 7,
  "wire": "one-shot watches, batched reads",
  "failedRounds": 8,
  "missingPath": "",
  "cacheFile": "/c/list.json",
  "overrideFile": "/c/override.json",
  "cacheSaved": "2026-01-02T03:04:05Z",
  "cacheErr": "zkdiscovery: save /c/list.json: disk full",
  "lastErr": "EOF",
  "lastErrAt": "2026-01-02T03:04:05Z",
  "lists": 9,
  "reads": 10,
  "checks": 11,
  "mended": 12,
  "saves": 13,
  "saveErrors": 14,
  "history": [
    {
      "at": "2026-01-02T03:04:05Z",
      "connected": true,
      "newSession": true,
      "server": "zk:2181",
      "sessionID": "0x181b15427400001"
    }
  ],
  "services": []
}`
	got, err := json.MarshalIndent(st, "", "  ")
	if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
}

func TestASourceIsReadBackAsItIsWritten(t *testing.T) {
	for s := None; s <= Live; s++ {
		text, err := json.Marshal(Snapshot{Source: s})
		var back Snapshot
		if err != nil || json.Unmarshal(text, &back) != nil || back.Source != s {
			t.Errorf("%v is %s, and %v", s, text, back.Source)
		}
	}
	var s Source
	if err := s.UnmarshalText([]byte("dead")); err == nil {
		t.Error("dead is no source")
	}
}
