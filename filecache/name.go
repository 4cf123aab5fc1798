package filecache

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// maxName keeps the longest file made from a name, "<name>~12345678.prev.json.corrupt-20260102T150405.000000000Z", below the 255 bytes
// that file systems allow.
const maxName = 200

// escape turns a service name into the stem of its files' names. Two services never meet, not even on a file system that ignores case,
// and no service leaves the directory or takes a name that means something else (hidden, reserved by Windows, another service's
// predecessor or override). Names of up to maxName escaped bytes can be read back:
//
//	/prod/rpcx/payment   prod,rpcx,payment     a path: the first slash is understood, the others are commas
//	Arith                _Arith                an upper-case letter is marked, for file systems that ignore case
//	my_service           my__service
//	a b, é, ~, con       a%20b, %C3%A9, …      everything else is escaped as in a URL
//
// A longer name is cut and carries its SHA-256 behind a "~", which no escaped name contains.
func escape(service string) string {
	rest, slash := service, "%2F"
	if strings.HasPrefix(service, "/") && strings.Contains(service[1:], "/") {
		rest, slash = service[1:], ","
	}
	var b strings.Builder
	for i := range len(rest) {
		switch ch := rest[i]; {
		case ch == '/':
			b.WriteString(slash)
		case ch == '_':
			b.WriteString("__")
		case 'A' <= ch && ch <= 'Z':
			b.WriteByte('_')
			b.WriteByte(ch)
		case 'a' <= ch && ch <= 'z', '0' <= ch && ch <= '9', ch == '-', ch == '.':
			b.WriteByte(ch)
		default:
			b.WriteString(percent(ch))
		}
	}
	name := b.String()
	switch {
	case name == "":
		return "%" // nothing else escapes to this; Open refuses the empty name, but the function is total
	case name[0] == '.' || reservedByWindows(name):
		name = percent(name[0]) + name[1:]
	case name[0] == '-': // a file name that a shell command would take for a flag
		name = percent('-') + name[1:]
	}
	for _, suffix := range []string{".prev", ".override"} {
		if stem, ok := strings.CutSuffix(name, suffix); ok {
			name = stem + percent('.') + suffix[1:]
		}
	}
	if len(name) <= maxName {
		return name
	}
	sum := sha256.Sum256([]byte(service))
	digest := "~" + hex.EncodeToString(sum[:16])
	return name[:maxName-len(digest)] + digest
}

func percent(ch byte) string { return "%" + strings.ToUpper(hex.EncodeToString([]byte{ch})) }

// reservedByWindows reports whether Windows takes name for a device, whatever follows the first dot. Upper-case spellings and CONIN$
// need no look: their letters and "$" are escaped.
func reservedByWindows(name string) bool {
	stem, _, _ := strings.Cut(name, ".")
	switch stem {
	case "con", "prn", "aux", "nul":
		return true
	}
	if len(stem) != 4 || stem[3] < '0' || stem[3] > '9' {
		return false
	}
	return stem[:3] == "com" || stem[:3] == "lpt"
}

// ensembleSuffix distinguishes our file from that of another ensemble which has the plain name.
func ensembleSuffix(ensemble string) string {
	sum := sha256.Sum256([]byte(ensemble))
	return "~" + hex.EncodeToString(sum[:4])
}

// isEnsembleSuffix reports whether s is one that ensembleSuffix makes.
func isEnsembleSuffix(s string) bool {
	return len(s) == 9 && s[0] == '~' && strings.Trim(s[1:], "0123456789abcdef") == ""
}
