package main

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// secured puts TLS before a server, and returns its address and a file with the certificate that is to be trusted: for 127.0.0.1.
func secured(t *testing.T, addr string, config func(*tls.Config)) (front, ca string) {
	t.Helper()
	certified := httptest.NewTLSServer(nil) // for its certificate
	defer certified.Close()
	c := certified.TLS.Clone()
	c.NextProtos = nil
	config(c)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certified.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	var carried sync.WaitGroup
	carried.Go(func() {
		for {
			secure, err := ln.Accept()
			if err != nil {
				return // closed
			}
			plain, err := net.Dial("tcp", addr)
			if err != nil {
				_ = secure.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{secure, plain}, {plain, secure}} {
				carried.Go(func() {
					_, _ = io.Copy(way[0], way[1]) // until one of them ends
					_, _ = way[0].Close(), way[1].Close()
				})
			}
		}
	})
	t.Cleanup(func() { _ = ln.Close(); carried.Wait() })
	return ln.Addr().String(), ca
}

func TestDoctorTellsTLSFromPlain(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	plain := e.Servers()[0]
	tree(t, e, session.Create{Path: "/rpcx", ACL: []session.ACL{anyone(session.PermAll)}})
	secure, ca := secured(t, plain, func(*tls.Config) {})
	wants(t, exitOK, []string{"doctor", "--zk", secure, "--tls", "--tls-ca", ca}, "ok: server "+secure+" can be reached with TLS: ZooKeeper ", "ok: session with "+secure)
	wants(t, exitUnreachable, []string{"doctor", "--zk", secure}, "server "+secure+" demands TLS", "--tls, and --tls-ca", "see what is said of its servers above")
	wants(t, exitUnreachable, []string{"doctor", "--zk", secure, "--tls"}, "is not trusted", "--tls-ca has the certificates that are trusted")
	wants(t, exitUnreachable, []string{"doctor", "--zk", plain, "--tls", "--tls-ca", ca}, "server "+plain+" speaks without TLS", "leave --tls out")
	_, port, _ := strings.Cut(secure, ":")
	wants(t, exitUnreachable, []string{"doctor", "--zk", "localhost:" + port, "--tls", "--tls-ca", ca}, "is not trusted", "--tls-server-name")
	wants(t, exitOK, []string{"doctor", "--zk", "localhost:" + port, "--tls", "--tls-ca", ca, "--tls-server-name", "127.0.0.1"}, "ok: session with ", "takes this command for ip:127.0.0.1")
}

func TestDoctorSaysThatACertificateIsWanted(t *testing.T) {
	zk := zktest.Start(t)
	secure, ca := secured(t, zk.Addr(), func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert })
	wants(t, exitUnreachable, []string{"doctor", "--zk", secure, "--tls", "--tls-ca", ca}, "refuses TLS", "--tls-cert and --tls-key")
}
