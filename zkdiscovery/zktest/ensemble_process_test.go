package zktest

import (
	"errors"
	"net"
	"testing"
)

func TestPortStaysClaimedWhileNobodyListens(t *testing.T) {
	claimed, err := claimPort()
	if err != nil {
		t.Fatal(err)
	}
	// Another process that is about to choose this number does the same.
	if rival, err := net.ListenPacket("udp", loopback(claimed.number)); err == nil {
		rival.Close()
		t.Error("claimed twice")
	}
	server, err := net.Listen("tcp", loopback(claimed.number))
	if err != nil {
		t.Errorf("the owner cannot listen: %v", err)
	} else {
		server.Close()
	}
	claimed.release()
	again, err := net.ListenPacket("udp", loopback(claimed.number))
	if err != nil {
		t.Fatalf("still claimed after its release: %v", err)
	}
	again.Close()
}

// TestRestartOnATakenPortSaysSo is what NewEnsemble's retry depends on.
func TestRestartOnATakenPortSaysSo(t *testing.T) {
	e := StartEnsemble(t, 1)
	if err := e.Kill(0); err != nil {
		t.Fatal(err)
	}
	thief, err := net.Listen("tcp", e.Servers()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer thief.Close()
	if err := e.Restart(0); !errors.Is(err, errPortTaken) {
		t.Errorf("%v, want one that is errPortTaken", err)
	}
}
