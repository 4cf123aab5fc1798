package statuspage

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/plain"
	"github.com/holdfast-go/holdfast/zkdiscovery/metrics"
)

//go:embed page.html
var pageText string

//go:embed style.css
var style string

// parsed is the template and the policy that allows its style and nothing else.
var parsed = sync.OnceValues(func() (*template.Template, string) {
	sum := sha256.Sum256([]byte(style))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	funcs := template.FuncMap{
		"text":  func(s string) string { return plain.Text(s, maxText) },
		"err":   func(err error) string { return plain.Text(err.Error(), maxText) },
		"style": func() template.CSS { return template.CSS(style) }, //nolint:gosec // our own file
	}
	return template.Must(template.New("page").Funcs(funcs).Parse(pageText)), policy
})

const (
	maxText        = 300 // bytes of anything that comes from outside
	maxInstances   = 200 // on one page
	maxServices    = 200 // of one Discovery, on one page
	defaultRefresh = 5   // seconds
	maxRefresh     = 3600
)

// page is the handler.
type page struct{ sources metrics.Sources }

// New returns a handler that shows sources, which it copies. A Selector is shown beside the instances of its service. It is found by its name: that of the
// Discovery, where that has one service only; else the service's path, or the last part of it. The handler may be used by several at once, and before or after the sources are closed. It answers GET and HEAD.
func New(sources metrics.Sources) http.Handler { return &page{sources.Clone()} }

// ServeHTTP answers with the page, or with the same as JSON.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	q := r.URL.Query()
	state := p.look(time.Now(), q.Get("name"), q.Get("service"))
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept")
	page, policy := parsed()
	h.Set("Content-Security-Policy", policy)

	// Into a buffer first: a browser that reads slowly holds nothing but that.
	var b bytes.Buffer
	var err error
	if q.Get("format") == "json" || strings.HasPrefix(r.Header.Get("Accept"), "application/json") {
		h.Set("Content-Type", "application/json")
		err = json.NewEncoder(&b).Encode(state)
	} else {
		h.Set("Content-Type", "text/html; charset=utf-8")
		if s := number(q.Get("refresh"), defaultRefresh, maxRefresh); s > 0 {
			h.Set("Refresh", strconv.Itoa(s))
		}
		err = page.Execute(&b, state.shown(number(q.Get("from"), 0, 1<<30), number(q.Get("services"), 0, 1<<30)))
	}
	if err != nil {
		http.Error(w, "the page cannot be made: "+plain.Text(err.Error(), maxText), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(b.Bytes()) // the browser is gone if it fails
}

// number reads a parameter, which is byDefault when it is none from 0 to most.
func number(s string, byDefault, most int) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > most {
		return byDefault
	}
	return n
}
