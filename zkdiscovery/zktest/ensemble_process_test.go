package zktest

import (
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
