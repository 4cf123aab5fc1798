package weather

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"math/big"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rcrowley/go-metrics"
	"github.com/rpcxio/libkv/store"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
)

// setting is an option of zkdiscovery's that the generator knows.
type setting struct {
	of   int // of a hundred processes so many have it
	make func(r *rand.Rand, p *process) zkdiscovery.Option
	// none of these, if p has it
	unless func(p *process) bool
}

// settings are all options of zkdiscovery's. The order in which they are drawn is that of their names.
var settings = map[string]setting{
	"WithAuth": {of: 30, make: func(*rand.Rand, *process) zkdiscovery.Option {
		return zkdiscovery.WithAuth("digest", []byte("user:password"))
	}},
	"WithAuthFunc": {of: 15, make: func(_ *rand.Rand, p *process) zkdiscovery.Option {
		return zkdiscovery.WithAuthFunc(p.run.rotated)
	}},
	"WithCacheDir": {of: 80, unless: withoutCache, make: func(_ *rand.Rand, p *process) zkdiscovery.Option {
		p.dir = p.disk.dir
		return zkdiscovery.WithCacheDir(p.dir)
	}},
	"WithCachePolling": {of: 100, make: func(*rand.Rand, *process) zkdiscovery.Option {
		return zkdiscovery.WithCachePolling() // inotify would stop the bubble's clock
	}},
	"WithDialer": {of: 100, make: func(_ *rand.Rand, p *process) zkdiscovery.Option { return zkdiscovery.WithDialer(p.way.Dial) }},
	"WithEnsembleName": {of: 20, make: func(_ *rand.Rand, p *process) zkdiscovery.Option {
		return zkdiscovery.WithEnsembleName("weather " + p.run.name)
	}},
	"WithFilter": {of: 15, make: func(r *rand.Rand, p *process) zkdiscovery.Option {
		p.filter = filters[r.IntN(len(filters))]
		return zkdiscovery.WithFilter(p.filter.keeps)
	}},
	"WithGuard": {of: 85, make: func(r *rand.Rand, p *process) zkdiscovery.Option {
		p.guarded = true
		p.guard = zkdiscovery.Guard{
			Share: pick(r, 0, 0, 0.2, 0.8, 1), Window: pick(r, 0, 0, 5*time.Second, time.Minute),
			Hold: pick(r, 0, 0, 20*time.Second, 10*time.Minute), HoldUnprobed: pick(r, 0, 0, 10*time.Second, 3*time.Minute),
			Probe: p.run.fleet.asks(p), ProbeTimeout: pick(r, 0, 0, 300*time.Millisecond, 3*time.Second), Parallel: pick(r, 0, 0, 1, 100),
		}
		if r.IntN(10) == 0 {
			p.guard.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
		}
		return zkdiscovery.WithGuard(p.guard)
	}},
	"WithLazyStart": {of: 50, make: func(_ *rand.Rand, p *process) zkdiscovery.Option {
		p.lazy = true
		return zkdiscovery.WithLazyStart()
	}},
	"WithLogger": {of: 100, make: func(_ *rand.Rand, p *process) zkdiscovery.Option { return zkdiscovery.WithLogger(p.log.logger()) }},
	"WithMaxCacheAge": {of: 25, unless: withoutCache, make: func(r *rand.Rand, p *process) zkdiscovery.Option {
		return zkdiscovery.WithMaxCacheAge(pick(r, time.Minute, 20*time.Minute, 24*time.Hour))
	}},
	"WithObserver": {of: 30, make: func(r *rand.Rand, p *process) zkdiscovery.Option { return zkdiscovery.WithObserver(p.observer(r)) }},
	"WithOverrideDir": {of: 20, unless: withoutCache, make: func(_ *rand.Rand, p *process) zkdiscovery.Option {
		p.overrideDir = p.disk.overrides
		return zkdiscovery.WithOverrideDir(p.overrideDir)
	}},
	"WithSessionTimeout": {of: 40, make: func(r *rand.Rand, p *process) zkdiscovery.Option {
		p.session = pick(r, 2*time.Second, 5*time.Second, 20*time.Second, 2*time.Minute) // the server grants 4 s to 40 s
		return zkdiscovery.WithSessionTimeout(p.session)
	}},
	"WithStartTimeout": {of: 40, make: func(r *rand.Rand, p *process) zkdiscovery.Option {
		p.start = pick(r, 100*time.Millisecond, time.Second, 10*time.Second, time.Minute)
		return zkdiscovery.WithStartTimeout(p.start)
	}},
	"WithTLS": {of: 6, make: func(_ *rand.Rand, p *process) zkdiscovery.Option {
		server, client := certificates()
		p.way.tls = server
		return zkdiscovery.WithTLS(client)
	}},
	"WithoutCache": {of: 15, make: func(_ *rand.Rand, p *process) zkdiscovery.Option {
		return zkdiscovery.WithoutCache()
	}},
	"WithoutGuard":         {of: 15, make: func(*rand.Rand, *process) zkdiscovery.Option { return zkdiscovery.WithoutGuard() }},
	"WithoutWireExtension": {of: 25, make: func(*rand.Rand, *process) zkdiscovery.Option { return zkdiscovery.WithoutWireExtension() }},
	"WithoutMetadataWatch": {of: 25, make: func(_ *rand.Rand, p *process) zkdiscovery.Option {
		p.membersOnly = true
		return zkdiscovery.WithoutMetadataWatch()
	}},
}

// rotated is what a vault gives.
func (r *run) rotated() (string, []byte, error) {
	if r.is("no credentials") {
		return "", nil, errors.New("the vault is away")
	}
	return "digest", []byte("rotated:password"), nil
}

func withoutCache(p *process) bool { return p.has["WithoutCache"] }

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// draw gives p its options.
func draw(r *rand.Rand, p *process) (opts []zkdiscovery.Option) {
	p.has = map[string]bool{"WithoutCache": r.IntN(100) < settings["WithoutCache"].of}
	guarded := r.IntN(100) < settings["WithGuard"].of // without it the default probe would ask the real network
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		s := settings[name]
		has := r.IntN(100) < s.of
		switch name {
		case "WithGuard":
			has = guarded
		case "WithoutGuard":
			has = !guarded
		case "WithoutCache":
			has = p.has[name]
		}
		if !has || s.unless != nil && s.unless(p) {
			continue
		}
		p.has[name] = true
		opts = append(opts, s.make(rand.New(rand.NewPCG(r.Uint64(), 0)), p))
		p.run.count("option " + name)
	}
	return opts
}

// registrantSettings are all options of serverplugin's.
var registrantSettings = map[string]struct {
	of   int
	make func(r *rand.Rand, g *registrant) serverplugin.ZooKeeperOpt
}{
	"WithAuth": {20, func(*rand.Rand, *registrant) serverplugin.ZooKeeperOpt {
		return serverplugin.WithAuth("digest", []byte("user:password"))
	}},
	"WithAuthFunc": {15, func(_ *rand.Rand, g *registrant) serverplugin.ZooKeeperOpt {
		return serverplugin.WithAuthFunc(g.run.rotated)
	}},
	"WithDialer": {100, func(_ *rand.Rand, g *registrant) serverplugin.ZooKeeperOpt {
		return serverplugin.WithDialer(g.way.Dial)
	}},
	"WithDrainWait": {50, func(r *rand.Rand, _ *registrant) serverplugin.ZooKeeperOpt {
		return serverplugin.WithDrainWait(pick(r, 0, time.Second, 5*time.Second))
	}},
	"WithLogger": {100, func(_ *rand.Rand, g *registrant) serverplugin.ZooKeeperOpt {
		return serverplugin.WithLogger(g.log.logger())
	}},
	"WithOperator": {20, func(r *rand.Rand, _ *registrant) serverplugin.ZooKeeperOpt {
		return serverplugin.WithOperator(pick(r, nil, []string{"state"}, []string{"state", "weight", "n2"})...)
	}},
	"WithReady": {20, func(_ *rand.Rand, g *registrant) serverplugin.ZooKeeperOpt { return serverplugin.WithReady(g.ready) }},
	"WithReadyAlways": {15, func(_ *rand.Rand, g *registrant) serverplugin.ZooKeeperOpt {
		return serverplugin.WithReadyAlways(g.ready)
	}},
	"WithServer": {0, nil}, // waits for a real listener: tests/rpcx
	"WithSessionTimeout": {40, func(r *rand.Rand, _ *registrant) serverplugin.ZooKeeperOpt {
		return serverplugin.WithSessionTimeout(pick(r, 2*time.Second, 5*time.Second, 20*time.Second, 2*time.Minute))
	}},
	"WithStarted": {30, func(*rand.Rand, *registrant) serverplugin.ZooKeeperOpt { return serverplugin.WithStarted() }},
	"WithTLS": {6, func(_ *rand.Rand, g *registrant) serverplugin.ZooKeeperOpt {
		server, client := certificates()
		g.way.tls = server
		return serverplugin.WithTLS(client)
	}},
	"WithZKBasePath": {100, func(_ *rand.Rand, g *registrant) serverplugin.ZooKeeperOpt {
		return serverplugin.WithZKBasePath(g.base)
	}},
	"WithZKServersAddress": {100, func(_ *rand.Rand, g *registrant) serverplugin.ZooKeeperOpt {
		return serverplugin.WithZKServersAddress(g.servers)
	}},
	"WithZKServiceAddress": {100, func(_ *rand.Rand, g *registrant) serverplugin.ZooKeeperOpt {
		return serverplugin.WithZKServiceAddress(g.key)
	}},
	"WithZkACL": {10, func(*rand.Rand, *registrant) serverplugin.ZooKeeperOpt {
		return serverplugin.WithZkACL([]serverplugin.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}})
	}},
	"WithZKMetrics": {20, func(*rand.Rand, *registrant) serverplugin.ZooKeeperOpt {
		return serverplugin.WithZKMetrics(metrics.NewRegistry())
	}},
	"WithZkOptions": {20, func(*rand.Rand, *registrant) serverplugin.ZooKeeperOpt {
		return serverplugin.WithZkOptions(&store.Config{ConnectionTimeout: 8 * time.Second})
	}},
	"WithZkUpdateInterval": {20, func(*rand.Rand, *registrant) serverplugin.ZooKeeperOpt {
		return serverplugin.WithZkUpdateInterval(0) // metrics would make a change per tick; they are serverplugin's own tests' business
	}},
}

// drawRegistrant gives g its options. A registrant with credentials makes nodes that all may read, or those who watch would need them.
func drawRegistrant(r *rand.Rand, g *registrant) (opts []serverplugin.ZooKeeperOpt) {
	has := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(registrantSettings)) {
		s := registrantSettings[name]
		if r.IntN(100) < s.of || name == "WithZkACL" && (has["WithAuth"] || has["WithAuthFunc"]) {
			has[name] = true
			opts = append(opts, s.make(r, g))
			g.run.count("registrant " + name)
		}
	}
	return opts
}

// A new option must be met by the simulation. This fails until it is.
func TestTheGeneratorKnowsEveryOption(t *testing.T) {
	registrants := make(map[string]bool)
	for name := range registrantSettings {
		registrants[name] = true
	}
	known := make(map[string]bool)
	for name := range settings {
		known[name] = true
	}
	for _, c := range []struct {
		dir, result string
		known       map[string]bool
	}{{"../../zkdiscovery", "Option", known}, {"../../zkdiscovery/serverplugin", "ZooKeeperOpt", registrants}} {
		if diff := cmp.Diff(optionsOf(t, c.dir, c.result), slices.Sorted(maps.Keys(c.known))); diff != "" {
			t.Errorf("%s: -the package has +the generator knows\n%s", c.dir, diff)
		}
	}
}

// optionsOf are the exported functions of a package that return result and have a name that begins with With.
func optionsOf(t *testing.T, dir, result string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "With") || f.Type.Results == nil {
				continue
			}
			if id, ok := f.Type.Results.List[0].Type.(*ast.Ident); ok && id.Name == result {
				names = append(names, f.Name.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// certificates are those of every TLS server here, and what a client trusts.
var certificates = sync.OnceValues(func() (server, client *tls.Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		panic(err)
	}
	// In a bubble the year is 2000.
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "weather"}, DNSNames: []string{"weather"},
		NotBefore: time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS13},
		&tls.Config{RootCAs: pool, ServerName: "weather", MinVersion: tls.VersionTLS13}
})
