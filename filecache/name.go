package filecache

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxPart keeps the longest file made from a name below the 255 bytes that file systems allow.
const maxPart = 200

// Our files in the directory of a service, in that of an ensemble, and in the one that Open is given.
const (
	listFile     = "list.json"
	prevFile     = "prev.json"
	overrideFile = "override.json"
	lockFile     = "list.lock"
	ensembleFile = "ensemble.json"
	openLock     = "ensembles.lock"
)

var ownNames = []string{listFile, prevFile, overrideFile, lockFile, ensembleFile, openLock}

// place is the directory of a service below that of its ensemble. Two services never have the same one, not even on a file system that
// ignores case, and no service leaves the ensemble's directory or takes the name of a file in it:
//
//	/prod/rpcx/payment   prod/rpcx/payment      a path that begins with a slash and has another one: directories
//	/prod/rpcx/Arith     prod/rpcx/Arith~c1     capital letters: see caseMark
//	arith                arith
//	/arith, a/b          %2farith, a%2fb        in any other name a slash is escaped
//	/prod//a             prod/%/a               a part without letters
//
// Each part is escaped by itself; see escapePart.
func place(service string) string {
	rest, absolute := strings.CutPrefix(service, "/")
	if !absolute || !strings.Contains(rest, "/") {
		return directoryName(service)
	}
	parts := strings.Split(rest, "/")
	for i, part := range parts {
		parts[i] = directoryName(part)
	}
	return filepath.Join(parts...)
}

// directoryName is the name of the directory for one part. A name that is too long is cut and has its SHA-256 behind "~h".
func directoryName(part string) string {
	name := escapePart(part)
	return shorten(name+caseMark(name), part)
}

// flatName is the name of a service's override in a directory without directories, as a mounted ConfigMap is: the first slash is left out,
// the others are written as two underscores. Capital letters stay as they are. An underscore at which a reader could not tell is "%5f".
//
//	/prod/rpcx/Arith     prod__rpcx__Arith.json
//	Arith                Arith.json
//	/a/b_/c              a__b%5f__c.json
func flatName(service string) string {
	parts := strings.Split(strings.TrimPrefix(service, "/"), "/")
	for i, part := range parts {
		part = strings.ReplaceAll(escapePart(part), "__", "%5f%5f")
		if rest, ok := strings.CutPrefix(part, "_"); ok {
			part = "%5f" + rest
		}
		if rest, ok := strings.CutSuffix(part, "_"); ok {
			part = rest + "%5f"
		}
		parts[i] = part
	}
	return shorten(strings.Join(parts, "__"), service) + ".json"
}

// escapePart escapes, as in a URL, what a file system needs to have escaped: what Windows or a slash forbid, what Unicode may compose or
// fold (so everything but ASCII and Chinese characters), the signs "%" and "~" that we use ourselves, a dot at the beginning or end, a space at the end,
// and the first letter of a name that means something else: a device of Windows, or a file of ours.
func escapePart(part string) string {
	if part == "" {
		return "%" // nothing else is escaped to this
	}
	var b strings.Builder
	other := meansSomethingElse(part)
	for at := 0; at < len(part); {
		r, size := utf8.DecodeRuneInString(part[at:])
		first, last := at == 0, at+size == len(part)
		switch {
		case !isPlain(r), first && (other || r == '.'), last && (r == '.' || r == ' '):
			for _, ch := range []byte(part[at : at+size]) {
				b.WriteString("%" + hex.EncodeToString([]byte{ch}))
			}
		default:
			b.WriteString(part[at : at+size])
		}
		at += size
	}
	return b.String()
}

// isPlain reports whether r stands for itself on every file system: printable ASCII that Windows allows, and the Chinese characters that
// Unicode neither composes nor decomposes.
func isPlain(r rune) bool {
	switch {
	case r >= 0x4E00 && r <= 0x9FFF:
		return true
	case r < ' ' || r > '~':
		return false
	}
	return !strings.ContainsRune(`"%*/:<>?\|~`, r)
}

// meansSomethingElse reports whether a directory of this name would be taken for a file of ours or a device of Windows. Our names have no
// capital letters, and a service's name that has some is marked.
func meansSomethingElse(part string) bool {
	if slices.Contains(ownNames, part) || strings.HasPrefix(part, listFile+corruptMark) || strings.HasPrefix(part, prevFile+corruptMark) {
		return true
	}
	stem, _, _ := strings.Cut(strings.ToLower(part), ".") // Windows does not care what follows the dot
	switch stem = strings.TrimRight(stem, " "); stem {
	case "con", "prn", "aux", "nul", "conin$", "conout$":
		return true
	}
	if len(stem) != 4 || stem[3] < '0' || stem[3] > '9' {
		return false
	}
	return stem[:3] == "com" || stem[:3] == "lpt"
}

// capitals is how caseMark begins. In a name "~" is escaped.
const capitals = "~c"

// caseMark keeps names apart that differ in case only: "~c" and digits that say which letters of name are capitals, four letters a digit. It
// is empty for a name without capital letters. It does not end in "~1" or the like, which is how Windows shortens names.
//
//	arith         arith
//	Arith         Arith~c1
//	ArithService  ArithService~c12
func caseMark(name string) string {
	var digits []byte
	for i := 0; i < len(name); i++ {
		if name[i] < 'A' || name[i] > 'Z' {
			continue
		}
		for len(digits) <= i/4 {
			digits = append(digits, 0)
		}
		digits[i/4] |= 1 << (i % 4)
	}
	if len(digits) == 0 {
		return ""
	}
	for i, d := range digits {
		digits[i] = "0123456789abcdef"[d]
	}
	return capitals + string(digits)
}

// shorten cuts a name that is too long, and adds the hash of what it was made from.
func shorten(name, from string) string {
	if len(name) <= maxPart {
		return name
	}
	sum := sha256.Sum256([]byte(from))
	digest := "~h" + hex.EncodeToString(sum[:16])
	cut := maxPart - len(digest)
	for !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut] + digest
}
