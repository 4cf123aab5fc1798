package filecache

import (
	"encoding/hex"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPlacesReadLikeTheServicesNames(t *testing.T) {
	long := strings.Repeat("long", 60)
	for _, tt := range []struct{ rule, service, want string }{
		{"a path is directories", "/prod/rpcx/payment", "prod/rpcx/payment"},
		{"capital letters are marked behind the name, for file systems that ignore case", "/prod/rpcx/Arith", "prod/rpcx/Arith~c1"},
		{"each of them", "/prod/ArithService", "prod/ArithService~c12"},
		{"and only them", "UPPER", "UPPER~cf1"},
		{"a plain name stays", "arith-2.1", "arith-2.1"},
		{"so do underscores, commas and spaces", "my_service, too", "my_service, too"},
		{"and Chinese", "/prod/订单", "prod/订单"},
		{"a single level keeps its slash", "/arith", "%2farith"},
		{"a relative path keeps its slashes", "rpcx/arith", "rpcx%2farith"},
		{"a part may be empty", "/prod//a/", "prod/%/a/%"},
		{"nothing leaves the directory", "..", "%2e%2e"},
		{"however it tries", "/../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd"},
		{"nothing is hidden", ".hidden", "%2ehidden"},
		{"a backslash is no separator", `a\b`, "a%5cb"},
		{"what Windows forbids goes", "a\x00\n:*?\"<>|", "a%00%0a%3a%2a%3f%22%3c%3e%7c"},
		{"and a dot or a space at the end", "/prod/a./b ", "prod/a%2e/b%20"},
		{"so does what Unicode may fold or compose", "é", "%c3%a9"},
		{"a percent sign is not an escape", "%2f", "%252f"},
		{"what looks like a mark is none", "arith~c1", "arith%7ec1"},
		{"our files are not taken", "/prod/list.json", "prod/%6cist.json"},
		{"nor the others", "/prod/override.json/x", "prod/%6fverride.json/x"},
		{"nor what was set aside", "/p/list.json.corrupt-2026", "p/%6cist.json.corrupt-2026"},
		{"another spelling of them is marked anyway", "/prod/List.json", "prod/List.json~c1"},
		{"devices of Windows", "con", "%63on"},
		{"with whatever follows the dot", "nul.v1", "%6eul.v1"},
		{"numbered", "com1", "%63om1"},
		{"in upper case", "LPT9", "%4cPT9~c81"},
		{"not what only looks like one", "console", "console"},
		{"a long part is cut and has its hash", "/prod/" + long, "prod/" + long[:166] + "~h521181365bba52a7608da7ee5bc84657"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := filepath.ToSlash(place(tt.service)); got != tt.want {
				t.Errorf("place(%q) = %q, want %q", tt.service, got, tt.want)
			}
			checkPlace(t, tt.service)
		})
	}
}

func TestFlatNamesAreThoseOfAConfigMap(t *testing.T) {
	for service, want := range map[string]string{
		"/prod/rpcx/Arith": "prod__rpcx__Arith.json",
		"Arith":            "Arith.json",
		"/Arith":           "Arith.json",
		"a/b":              "a__b.json",
		"/a/my_service":    "a__my_service.json",
		"/a__b":            "a%5f%5fb.json",
		"/a_/b":            "a%5f__b.json",
		"/a/_b":            "a__%5fb.json",
		"/..data":          "%2e.data.json",
	} {
		if got := flatName(service); got != want {
			t.Errorf("flatName(%q) = %q, want %q", service, got, want)
		}
	}
}

// Two names meet if they have the same place, in whatever case. That cannot be when each can be read back from its place in lower case.
func FuzzPlace(f *testing.F) {
	for _, s := range []string{
		"/prod/rpcx/Arith", "arith.PREV", "CON", "a,b/c", "/", "//", "/a", "///", ",", "_", "__A", "%2f", "\xff", "/a/%", strings.Repeat("X", 199),
		"/x/List.json", "Con.x", "é/É", "订单",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, service string) {
		if service != "" { // Open refuses it
			checkPlace(t, service)
		}
		checkPart(t, service, parseEnsemble(service).directoryName())
	})
}

func checkPlace(t *testing.T, service string) {
	t.Helper()
	got := place(service)
	if !filepath.IsLocal(got) {
		t.Fatalf("place(%q) = %q leaves the directory", service, got)
	}
	parts := strings.Split(filepath.ToSlash(got), "/")
	cut := false
	for _, part := range parts {
		cut = checkPart(t, service, part) || cut
	}
	if cut {
		return
	}
	if back := placeReadBack(t, parts); back != service {
		t.Errorf("place(%q) = %q, which reads as %q", service, got, back)
	}
}

// checkPart looks at the name of a directory, and reports whether it was cut.
func checkPart(t *testing.T, service, part string) (cut bool) {
	t.Helper()
	longest := "." + part + ".corrupt-20260102T150405.000000000Z"
	lower := strings.ToLower(part)
	switch {
	case len(longest) > 255:
		t.Errorf("%q has a part of %d bytes", service, len(part))
	case part == "" || strings.ContainsAny(part, `/\:*?"<>|`) || strings.HasSuffix(part, ".") || strings.HasSuffix(part, " "):
		t.Errorf("%q has the part %q: not a safe name", service, part)
	case strings.HasPrefix(part, ".") || meansSomethingElse(part) || slices.Contains(ownNames, lower):
		t.Errorf("%q has the part %q, which means something else", service, part)
	}
	name, digest, cut := strings.Cut(part, "~h")
	if cut && (len(digest) != 32 || len(part) > maxPart || name == "") {
		t.Errorf("%q has the part %q: cut wrongly", service, part)
	}
	return cut
}

// placeReadBack is place's inverse for names that are not cut, written in lower case.
func placeReadBack(t *testing.T, parts []string) string {
	t.Helper()
	names := make([]string, len(parts))
	for i, part := range parts {
		names[i] = readBack(t, strings.ToLower(part))
	}
	if len(parts) > 1 {
		return "/" + strings.Join(names, "/")
	}
	return names[0]
}

func readBack(t *testing.T, part string) string {
	t.Helper()
	if part == "%" {
		return ""
	}
	name, digits, _ := strings.Cut(part, "~c")
	letters := []byte(name)
	for i := range letters {
		if i/4 < len(digits) && strings.IndexByte("0123456789abcdef", digits[i/4])>>(i%4)&1 == 1 {
			letters[i] -= 'a' - 'A'
		}
	}
	var b strings.Builder
	for i := 0; i < len(letters); i++ {
		if letters[i] != '%' {
			b.WriteByte(letters[i])
			continue
		}
		raw, err := hex.DecodeString(string(letters[i+1 : i+3]))
		if err != nil {
			t.Fatalf("%q: %v", part, err)
		}
		b.Write(raw)
		i += 2
	}
	return b.String()
}

// FuzzFlatName: two services have one name only if they differ in the first slash.
func FuzzFlatName(f *testing.F) {
	for _, s := range []string{"/a/b", "a__b", "/a_/b", "/a/_b", "___", "/_/_", "%5f", "/.x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, service string) {
		name := flatName(service)
		if filepath.Base(name) != name || strings.HasPrefix(name, ".") || len(name) > 255 {
			t.Fatalf("flatName(%q) = %q: not a safe name", service, name)
		}
		if strings.Contains(name, "~h") {
			return
		}
		parts := strings.Split(strings.TrimSuffix(name, ".json"), "__")
		for i, part := range parts {
			parts[i] = readBack(t, part)
		}
		if got, want := strings.Join(parts, "/"), strings.TrimPrefix(service, "/"); got != want {
			t.Errorf("flatName(%q) = %q, which reads as %q", service, name, got)
		}
	})
}
