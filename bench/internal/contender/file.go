package contender

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/holdfast-go/holdfast/filecache"
	"github.com/smallnest/rpcx/client"
)

// PlainJSON is the yardstick for the file: encoding/json, and a file that is read and written whole.
const PlainJSON = "encoding/json"

// A File keeps a list in a directory. Save takes the number of the list, which grows. Close ends what it holds open.
type File struct {
	Save  func(number int64, list []*client.KVPair) error
	Close func() error
}

// OpenFile is the file of a contender that has one.
func OpenFile(name, dir string) (File, error) {
	path := filepath.Join(dir, "discovery.json")
	none := func() error { return nil }
	switch name {
	case Holdfast:
		c, err := openCache(dir)
		if err != nil {
			return File{}, err
		}
		return File{Close: c.Close, Save: func(number int64, list []*client.KVPair) error {
			s := filecache.Snapshot{Ensemble: "bench", Service: cachedService, Lineage: "1", Zxid: number, AsOf: time.Now(), SavedAt: time.Now()}
			s.Servers = make([]filecache.Server, len(list))
			for i, p := range list {
				s.Servers[i] = filecache.Server{Key: p.Key, Value: p.Value}
			}
			return c.Save(s)
		}}, nil
	case CacheDiscovery:
		return File{Close: none, Save: func(_ int64, list []*client.KVPair) error {
			client.CacheDiscovery(0, path, fixed{pairs: list}).GetServices() // which saves, as it knows of nobody yet
			_, err := os.Stat(path)
			return err
		}}, nil
	case PlainJSON:
		return File{Close: none, Save: func(_ int64, list []*client.KVPair) error {
			b, err := json.Marshal(list)
			if err != nil {
				return err
			}
			return os.WriteFile(path, b, 0o600)
		}}, nil
	}
	return File{}, fmt.Errorf("%s has no file", name)
}

// LoadFile reads what Save has left in a directory, as a program does that has just started, and returns how many instances it has found.
func LoadFile(name, dir string) (int, error) {
	path := filepath.Join(dir, "discovery.json")
	switch name {
	case Holdfast:
		c, err := openCache(dir)
		if err != nil {
			return 0, err
		}
		defer func() { _ = c.Close() }() // it has only read
		s, err := c.Load()
		return len(s.Servers), err
	case CacheDiscovery:
		return len(client.CacheDiscovery(0, path, fixed{}).GetServices()), nil
	case PlainJSON:
		b, err := os.ReadFile(path) //nolint:gosec // the harness's own
		if err != nil {
			return 0, err
		}
		var list []*client.KVPair
		err = json.Unmarshal(b, &list)
		return len(list), err
	}
	return 0, fmt.Errorf("%s has no file", name)
}

const cachedService = "/rpcx/Arith"

func openCache(dir string) (*filecache.Cache, error) {
	return filecache.Open(dir, "bench", cachedService)
}

// fixed is a discovery that always lists the same.
type fixed struct {
	client.ServiceDiscovery
	pairs []*client.KVPair
}

func (f fixed) GetServices() []*client.KVPair { return f.pairs }
