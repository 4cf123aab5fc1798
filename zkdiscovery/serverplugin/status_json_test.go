package serverplugin

import (
	"encoding/json"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// V1: json.Marshal(Status()) gave numbers for the phases and lost every reason.
func TestAStatusInJSONHasItsReasonsInWords(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	st := Status{
		Registered: true,
		Services: []ServiceStatus{{
			Name: "Arith", Path: "/rpcx/Arith/tcp@a:1", Phase: Yielded, Since: at, Owner: 0x181b15427400001,
			Err:      &OpError{Op: "register", Path: "/rpcx/Arith/tcp@a:1", Err: errors.New("no permission")},
			Operator: []Word{{Key: "weight", Values: []string{"9"}, Version: 3, Time: at}},
		}, {Name: "Math"}},
		Connected: true, Server: "zk:2181", SessionID: 2, SessionTimeout: 10 * time.Second, Since: at, Sessions: 3, Connections: 4, FailedRounds: 5,
		LastErr: io.EOF, Counters: Counters{Looks: 6, Writes: 7, Takeovers: 8, Failures: 9},
	}
	const want = `{
  "registered": true,
  "services": [
    {
      "name": "Arith",
      "path": "/rpcx/Arith/tcp@a:1",
      "phase": "yielded",
      "since": "2026-01-02T03:04:05Z",
      "owner": "0x181b15427400001",
      "err": "serverplugin: register /rpcx/Arith/tcp@a:1: no permission",
      "operator": [
        {
          "key": "weight",
          "values": [
            "9"
          ],
          "version": 3,
          "time": "2026-01-02T03:04:05Z"
        }
      ]
    },
    {
      "name": "Math",
      "path": "",
      "phase": "pending",
      "owner": "0x0",
      "operator": []
    }
  ],
  "connected": true,
  "server": "zk:2181",
  "sessionID": "0x2",
  "sessionTimeoutSeconds": 10,
  "since": "2026-01-02T03:04:05Z",
  "sessions": 3,
  "connections": 4,
  "failedRounds": 5,
  "lastErr": "EOF",
  "looks": 6,
  "writes": 7,
  "takeovers": 8,
  "failures": 9
}`
	got, err := json.MarshalIndent(st, "", "  ")
	if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
}

func TestAPhaseIsReadBackAsItIsWritten(t *testing.T) {
	for p := Pending; p <= Unregistering; p++ {
		text, err := p.MarshalText()
		var back Phase
		if err != nil || back.UnmarshalText(text) != nil || back != p {
			t.Errorf("%v is %s, and %v", p, text, back)
		}
	}
	if s := Phase(99).String(); s != "phase(99)" {
		t.Error(s)
	}
}
