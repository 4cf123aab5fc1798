// Package agent runs each contender in a process of its own and asks it what it sees.
//
// A contender may hang, leak, or crash its process, and one written in Java is another process anyway; so all of them are. The program starts itself
// again with an environment variable (RunIfAsked), or, for dubbo-go, another program that it has built, and the two speak lines over stdin and
// stdout. What an agent sees it stamps with the wall clock at once, so that the way through the pipe is not measured. An agent ends when its stdin
// does, so that none outlives the program, however that ends.
//
// # The lines
//
//	open SERVERS BASE SERVICE DIR WANT WATCHERS STUCK TIMEOUT_MS    → opened NS COUNT  when COUNT >= WANT
//	many SERVERS BASE PREFIX DIR WANT SERVICES TIMEOUT_MS           → opened NS COUNT  of all SERVICES together
//	expect ID KEY WANT                                              → armed, and, when it has come true, met ID UNIX_NS
//	digest                                                          → digest SHA256 COUNT
//	stats                                                           → stats GOROUTINES HEAP_BYTES  after a collection of garbage
//	used                                                            → used CPU_NS ALLOCATED_BYTES  since it began
//	load SERVERS BASE SERVICE DIR RATE BIN_MS TIMEOUT_MS            → loading, and, again and again, tick UNIX_MS OK FAILED
//	serve SERVERS BASE SERVICE ADDRESS UPDATE_MS TIMEOUT_MS         → serving NS
//	serve-many SERVERS BASE PREFIX ADDRESS SERVICES TIMEOUT_MS      → serving NS
//	profile PATH                                                    → profiling  of the processors' time, until the next; of an empty PATH none
//	load-file DIR                                                   → loaded NS COUNT  the list that a contender has saved there
//	close                                                           → closed
//
// Fields are escaped as in a query, an empty one is "-". What cannot be done is answered by "failed NS WHY". WANT of an expectation is "in" (the
// key is listed), "out" (it is not), "=value" (its metadata is that) or "#n" (n instances are listed).
package agent

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// asked is the environment variable that makes an agent of the program, with the contender's name.
const asked = "HOLDFAST_BENCH_AGENT"

func encode(fields ...any) string {
	out := make([]string, len(fields))
	for i, f := range fields {
		s := ""
		switch f := f.(type) {
		case time.Duration:
			s = fmt.Sprint(f.Milliseconds())
		case []string:
			s = strings.Join(f, ",")
		default:
			s = fmt.Sprint(f)
		}
		if out[i] = url.QueryEscape(s); s == "" {
			out[i] = "-"
		}
	}
	return strings.Join(out, " ")
}

func decode(line string) []string {
	fields := strings.Fields(line)
	for i, f := range fields {
		if f == "-" {
			fields[i] = ""
			continue
		}
		if s, err := url.QueryUnescape(f); err == nil {
			fields[i] = s
		}
	}
	return fields
}
