package weather

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// file is a cache file, read by this package's own reading of its format.
type file struct {
	Version  int       `json:"holdfast"`
	CRC      string    `json:"crc32c"`
	Ensemble string    `json:"ensemble"`
	Service  string    `json:"service"`
	Lineage  string    `json:"lineage"`
	Era      int64     `json:"era"`
	Zxid     int64     `json:"zxid"`
	AsOf     time.Time `json:"asOf"`
	Servers  []struct {
		Key         string    `json:"key"`
		Value       string    `json:"value"`
		ValueBase64 string    `json:"valueBase64"`
		HeldSince   time.Time `json:"heldSince"`
	} `json:"servers"`
}

func readFile(path string) (f file, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return f, fmt.Errorf("%w: %q", err, b)
	}
	i := bytes.Index(b, []byte(f.CRC))
	if got := fmt.Sprintf("%08x", crc32.Checksum(b[i+len(f.CRC):], crc32.MakeTable(crc32.Castagnoli))); got != f.CRC {
		return f, fmt.Errorf("checksum %s, the file says %s", got, f.CRC)
	}
	for i, s := range f.Servers {
		if s.ValueBase64 != "" {
			v, err := base64.StdEncoding.DecodeString(s.ValueBase64)
			if err != nil {
				return f, err
			}
			f.Servers[i].Value = string(v)
		}
	}
	return f, nil
}

// service is which of ours a file is of.
func (f *file) service() (string, bool) {
	for _, s := range services {
		if strings.HasSuffix(f.Service, "/"+s) {
			return s, true
		}
	}
	return "", false
}

// lists are who is listed, and who is held.
func (f *file) lists() (listed, held map[string]string) {
	listed, held = make(map[string]string), make(map[string]string)
	for _, s := range f.Servers {
		if s.HeldSince.IsZero() {
			listed[s.Key] = s.Value
		} else {
			held[s.Key] = s.Value
		}
	}
	return listed, held
}

// checkFiles judges every list on every disk.
func (r *run) checkFiles() {
	for _, d := range r.disks {
		d.mu.Lock()
		damaged := d.damaged
		files := d.files()
		d.mu.Unlock()
		for _, path := range files {
			base := filepath.Base(path)
			if base != "list.json" && base != "prev.json" {
				continue
			}
			f, err := readFile(path)
			if os.IsNotExist(err) {
				continue
			}
			if err != nil {
				if damaged == 0 {
					r.violate("filesAreWhole", "%s: %v", path, err)
				}
				continue
			}
			if damaged == 0 && base == "list.json" {
				r.filesNeverGoBack(path, f)
			}
			r.filesHaveWhatWasHeld(path, f)
			r.erasRiseWithHistories(path, f)
		}
	}
}

// filesNeverGoBack: a list is replaced by a later one only.
func (r *run) filesNeverGoBack(path string, f file) {
	was, ok := r.files[path]
	r.files[path] = f
	switch {
	case !ok:
	case f.Era > was.Era && f.Lineage == was.Lineage:
		service, _ := f.service()
		r.proofs[path]++
		if restores, gaps := r.record.restores(), r.record.gaps(service); r.proofs[path] > restores+gaps {
			r.violate("erasRiseWithHistories", "%s: era %d after %d in one life of the path, %d times so; ZooKeeper was restored %d times, the path gone %d times",
				path, f.Era, was.Era, r.proofs[path], restores, gaps)
		}
	case f.Era < was.Era:
		r.violate("filesNeverGoBack", "%s: era %d after %d", path, f.Era, was.Era)
	case f.Era == was.Era && f.Lineage == was.Lineage && f.Zxid < was.Zxid:
		r.violate("filesNeverGoBack", "%s: zxid %#x after %#x", path, f.Zxid, was.Zxid)
	case f.Era == was.Era && (f.Lineage != was.Lineage || f.Zxid == was.Zxid) && f.AsOf.Before(was.AsOf):
		r.violate("filesNeverGoBack", "%s: confirmed at %v after %v", path, f.AsOf, was.AsOf)
	}
}

// filesHaveWhatWasHeld: who is listed in a file is what ZooKeeper had at some time, and who is held has been in it.
func (r *run) filesHaveWhatWasHeld(path string, f file) {
	service, ok := f.service()
	if !ok {
		r.violate("filesHaveWhatWasHeld", "%s is of service %q", path, f.Service)
		return
	}
	states := r.record.states(service)
	listed, held := f.lists()
	has := func(i int) bool {
		n := 0
		for k := range listed {
			if _, ok := states[i].nodes[k]; ok {
				n++
			}
		}
		if n < len(listed) {
			return false
		}
		for k := range states[i].nodes {
			if _, ok := listed[k]; !ok && !isGone(k, states[i+1:]) {
				return false
			}
		}
		return true
	}
	found := false
	for i := len(states) - 1; i >= 0 && !found; i-- {
		found = has(i)
	}
	if !found {
		r.violate("filesHaveWhatWasHeld", "%s lists %v, which ZooKeeper never had", path, listed)
	}
	for _, list := range []map[string]string{listed, held} {
		for k, v := range list {
			was := r.record.wasHidden(service, k)
			for i := len(states) - 1; i >= 0 && !was; i-- {
				is, ok := states[i].nodes[k]
				was = ok && is == v
			}
			if !was {
				r.violate("filesHaveWhatWasHeld", "%s has %s with %q, which never was", path, k, v)
			}
		}
	}
}

// erasRiseWithHistories: an era begins with a restore or a new life of the path, and with nothing else.
func (r *run) erasRiseWithHistories(path string, f file) {
	service, _ := f.service()
	if epochs := int64(r.record.now(service).epoch); f.Era > max(1, epochs) {
		r.violate("erasRiseWithHistories", "%s: era %d in epoch %d", path, f.Era, epochs)
	}
}

// strangers are files that are neither ours nor an operator's: a write has left them.
func (d *disk) strangers() (names []string) {
	for _, path := range d.files() {
		base := filepath.Base(path)
		switch {
		case base == "list.json", base == "prev.json", base == "list.lock", base == "override.json", base == "ensemble.json":
		case strings.Contains(base, ".corrupt-"), strings.HasSuffix(base, ".lock"):
		default:
			names = append(names, path)
		}
	}
	return names
}
