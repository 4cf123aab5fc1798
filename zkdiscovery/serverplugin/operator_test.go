package serverplugin

import (
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rcrowley/go-metrics"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// said is the operator's words on Arith, as key=value.
func said(p *ZooKeeperRegisterPlugin) string {
	var all []string
	for _, sv := range p.Status().Services {
		if sv.Name != "Arith" {
			continue
		}
		for _, w := range sv.Operator {
			all = append(all, w.Key+"="+strings.Join(w.Values, ","))
		}
	}
	return strings.Join(all, " ")
}

// mustSay asserts what the node says, and which words are in force.
func (b bubble) mustSay(p *ZooKeeperRegisterPlugin, data, words string) {
	b.Helper()
	b.mustOwn(p, data)
	if got := said(p); got != words {
		b.Errorf("the operator has said %q, want %q", got, words)
	}
}

// TestAnOperatorsWord is issue 13's rules, one each: what somebody writes, what the node says then, and which words are in force. Registered is
// weight=3&group=a.
func TestAnOperatorsWord(t *testing.T) {
	type then struct{ writes, says, words string }
	for rule, script := range map[string][]then{
		"inactive counts":                    {{"weight=3&group=a&state=inactive", "weight=3&group=a&state=inactive", "state=inactive"}},
		"it is left in the operator's words": {{"group=a&state=inactive&weight=3", "group=a&state=inactive&weight=3", "state=inactive"}},
		"a weight counts":                    {{"weight=9&group=a", "weight=9&group=a", "weight=9"}},
		"everything else is restored":        {{"weight=9&group=b&x=y", "group=a&weight=9", "weight=9"}, {"by hand", "weight=3&group=a", ""}},
		"any other state ends it": {
			{"group=a&state=inactive&weight=3", "group=a&state=inactive&weight=3", "state=inactive"},
			{"group=a&state=active&weight=3", "weight=3&group=a", ""},
		},
		"to remove the key ends it":             {{"weight=3&group=a&state=inactive", "weight=3&group=a&state=inactive", "state=inactive"}, {"weight=3&group=a", "weight=3&group=a", ""}},
		"to write what is registered ends it":   {{"weight=9&group=a", "weight=9&group=a", "weight=9"}, {"weight=3&group=a", "weight=3&group=a", ""}},
		"to remove a registered key is no word": {{"group=a", "weight=3&group=a", ""}},
		"keys are words apart": {
			{"weight=9&group=a&state=inactive", "weight=9&group=a&state=inactive", "state=inactive weight=9"},
			{"weight=9&group=a&state=active", "group=a&weight=9", "weight=9"},
			{"weight=7&group=a&state=inactive", "weight=7&group=a&state=inactive", "state=inactive weight=7"},
		},
		"a state that rpcx does not know is none": {{"weight=3&group=a&state=sleepy", "weight=3&group=a", ""}},
		"a key may have several values":           {{"weight=1&weight=2&group=a", "weight=1&weight=2&group=a", "weight=1,2"}},
		"what is no query says nothing":           {{"weight=9&group=a", "weight=9&group=a", "weight=9"}, {"weight=4;a", "weight=9&group=a", "weight=9"}},
	} {
		t.Run(rule, func(t *testing.T) {
			inBubble(t, func(b bubble) {
				p := b.plugin()
				b.register(p, "Arith", "weight=3&group=a")
				pass(time.Second)
				for _, s := range script {
					before, _ := b.zk.Get(nodePath)
					must(b, b.zk.Set(nodePath, []byte(s.writes)))
					pass(time.Second)
					b.mustSay(p, s.says, s.words)
					// One write answers, and the version tells.
					if after, _ := b.zk.Get(nodePath); after.Stat.Version != before.Stat.Version+2 {
						b.Errorf("version %d, then %d", before.Stat.Version, after.Stat.Version)
					}
				}
				zxid := b.zk.Zxid()
				pass(time.Hour)
				if n := b.zk.Zxid() - zxid; n > 0 {
					b.Errorf("%d writes in an hour of peace", n)
				}
			})
		})
	}
}

func TestAnOperatorsWordOutlivesEverythingButTheProcess(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin(WithZKMetrics(metrics.NewRegistry()), WithZkUpdateInterval(time.Hour), WithDrainWait(0))
		b.register(p, "Arith", "weight=3")
		pass(time.Second)
		must(b, b.zk.Set(nodePath, []byte("weight=9&state=inactive")))
		pass(time.Second)
		for what, happens := range map[string]func(){
			"a deletion":     func() { must(b, b.zk.Delete(nodePath)) },
			"an expiry":      func() { b.zk.ExpireAll() },
			"a wipe":         func() { b.zk.Wipe() },
			"a Register":     func() { b.register(p, "Arith", "weight=4") },
			"other metadata": func() { must(b, p.SetMetadata("Arith", "weight=5")) },
			"metrics":        func() { pass(time.Hour) },
			"an Unregister":  func() { must(b, p.Unregister("Arith")); b.register(p, "Arith", "weight=6") },
			"one long ago": func() {
				must(b, p.Unregister("Arith"))
				b.zk.ExpireAll()
				pass(time.Minute)
				b.register(p, "Arith", "weight=7")
			},
			"a Drain": func() { must(b, p.Drain(b.Context())); b.register(p, "Arith", "weight=8") },
			"a persistent one": func() {
				b.zk.Delay(time.Millisecond) // or the process makes its own again in between, and what is put is a word
				must(b, b.zk.Delete(nodePath))
				must(b, b.zk.Put(nodePath, []byte("weight=1")))
				b.zk.Delay(0)
			},
		} {
			happens()
			pass(recovery)
			v, _ := url.ParseQuery(string(func() []byte { n, _ := b.zk.Get(nodePath); return n.Data }()))
			if got := said(p); got != "state=inactive weight=9" || v.Get("state") != "inactive" || v.Get("weight") != "9" || !p.Registered() {
				b.Errorf("after %s: %q, %v", what, got, v)
			}
		}
		must(b, p.ClearOperator("Arith", "weight"))
		b.register(p, "Arith", "zone=x") // the order that clears may not be lost behind another one
		pass(time.Second)
		if v := b.published(p); said(p) != "state=inactive" || v.Get("state") != "inactive" || v.Has("weight") || v.Get("zone") != "x" {
			b.Errorf("%q, %v", said(p), v)
		}
		must(b, p.ClearOperator("Arith"))
		pass(time.Second)
		if v := b.published(p); said(p) != "" || v.Has("state") {
			b.Errorf("%q, %v", said(p), v)
		}
		must(b, p.Stop())
		// The word was for that process.
		next := b.plugin()
		b.register(next, "Arith", "weight=3")
		pass(time.Second)
		b.mustSay(next, "weight=3", "")
	})
}

// Whoever says active and then inactive again is heeded, although the process saw the one and could not answer before the other.
func TestAWordThatIsSaidAgainBeforeItsEndWasAnsweredIsHeeded(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "weight=3")
		pass(time.Second)
		must(b, b.zk.Set(nodePath, []byte("weight=3&state=inactive")))
		pass(time.Second)
		b.zk.FailNext(zktest.OpSetData, zktest.CodeNoAuth, 1)
		must(b, b.zk.Set(nodePath, []byte("weight=3&state=active")))
		pass(100 * time.Millisecond)
		if said(p) != "" {
			b.Fatalf("the operator has said %q", said(p))
		}
		must(b, b.zk.Set(nodePath, []byte("weight=3&state=inactive")))
		pass(time.Minute)
		b.mustSay(p, "weight=3&state=inactive", "state=inactive")
	})
}

// A killed process's node still says what the operator said, and the next process takes its place.
func TestAWordIsForTheProcessThatIs(t *testing.T) {
	inBubble(t, func(b bubble) {
		way := &mortal{zk: b.zk}
		old := b.plugin(WithDialer(way.dial))
		b.register(old, "Arith", "weight=3")
		pass(time.Second)
		must(b, b.zk.Set(nodePath, []byte("weight=3&state=inactive")))
		pass(time.Second)
		way.kill()
		p := b.plugin()
		b.register(p, "Arith", "weight=3")
		pass(time.Second)
		b.mustSay(p, "weight=3", "")
	})
}

func TestDrainAndTheOperatorDoNotUndoEachOther(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin(WithDrainWait(time.Minute))
		b.register(p, "Arith", "weight=3")
		pass(time.Second)
		must(b, b.zk.Set(nodePath, []byte("weight=3&state=inactive")))
		pass(time.Second)
		done := make(chan error, 1)
		go func() { done <- p.Drain(b.Context()) }()
		pass(time.Second)
		must(b, b.zk.Set(nodePath, []byte("weight=3&state=active"))) // ends his word, and not the drain
		pass(time.Second)
		b.mustSay(p, "weight=3&state=inactive", "")
		must(b, <-done)
		b.register(p, "Arith", "weight=3")
		pass(time.Second)
		b.mustSay(p, "weight=3", "")
	})
}

func TestMetadataThatIsNoQueryHasNoLayer(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", `{"a":"b;c"}`)
		pass(time.Second)
		must(b, b.zk.Set(nodePath, []byte("state=inactive")))
		pass(time.Second)
		b.mustSay(p, `{"a":"b;c"}`, "")
	})
}

func TestWithOperatorNamesTheKeys(t *testing.T) {
	for _, tc := range []struct {
		opt         ZooKeeperOpt
		says, words string
	}{
		{WithOperator(), "weight=3", ""},
		{WithOperator("zone", "weight"), "zone=b&weight=9", "weight=9 zone=b"},
		{WithOperator("zone"), "weight=3&zone=b", "zone=b"},
	} {
		inBubble(t, func(b bubble) {
			p := b.plugin(tc.opt)
			b.register(p, "Arith", "weight=3")
			pass(time.Second)
			must(b, b.zk.Set(nodePath, []byte("state=inactive&zone=b&weight=9")))
			pass(time.Second)
			n, _ := b.zk.Get(nodePath)
			if !sameQuery(string(n.Data), tc.says) || said(p) != tc.words || !p.Registered() {
				b.Errorf("%q, %q, want %q, %q", n.Data, said(p), tc.says, tc.words)
			}
		})
	}
	for _, key := range []string{"", "calls", "connections", "started"} {
		p := NewZooKeeperRegisterPlugin(WithZKServiceAddress(address), WithZKServersAddress([]string{"zk:2181"}), WithZKBasePath("rpcx"), WithOperator(key))
		if err := p.Start(); err == nil || !strings.Contains(err.Error(), "WithOperator") {
			t.Errorf("key %q: %v", key, err)
		}
	}
}

// An answer of this process's that is lost, an older state from a backup: the node differs from what was written last, and nobody has said that.
func TestWhatThisProcessWroteIsNobodysWord(t *testing.T) {
	for what, happens := range map[string]func(b bubble, p *ZooKeeperRegisterPlugin){
		"a write that was lost on its way": func(b bubble, p *ZooKeeperRegisterPlugin) {
			b.zk.CutBefore(zktest.OpSetData, 1)
			must(b, p.SetMetadata("Arith", "weight=4"))
		},
		"a write whose answer was lost": func(b bubble, p *ZooKeeperRegisterPlugin) {
			b.zk.CutAfter(zktest.OpSetData, 1)
			must(b, p.SetMetadata("Arith", "weight=4"))
		},
		"a backup": func(b bubble, p *ZooKeeperRegisterPlugin) {
			b.zk.Checkpoint()
			must(b, p.SetMetadata("Arith", "weight=4"))
			pass(time.Second)
			b.restore()
		},
	} {
		t.Run(what, func(t *testing.T) {
			inBubble(t, func(b bubble) {
				p := b.plugin()
				b.register(p, "Arith", "weight=3")
				pass(time.Second)
				happens(b, p)
				pass(recovery)
				b.mustSay(p, "weight=4", "")
			})
		})
	}
}

// Clients take a word as metadata that change once, and its answer as nothing.
func TestTheAnswerToAWordIsNoNewsToClients(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "weight=3&group=a")
		pass(time.Second)
		d, err := zkdiscovery.New("rpcx", "Arith", []string{"zk:2181"}, zkdiscovery.WithDialer(b.zk.Dial), zkdiscovery.WithoutCache())
		if err != nil {
			b.Fatal(err)
		}
		defer d.Close()
		pass(time.Second)
		was := d.Snapshot().Revision
		o := operator{zk: b.zk}
		o.say(nodePath, "state", "inactive")
		pass(time.Minute)
		s := d.Snapshot()
		if s.Revision != was+1 || len(s.Servers) != 1 || s.Servers[0].Value != "group=a&state=inactive&weight=3" {
			b.Errorf("%d revisions: %+v", s.Revision-was, s.Servers)
		}
	})
}

func TestAnOperatorsWordIsLogged(t *testing.T) {
	inBubble(t, func(b bubble) {
		var log strings.Builder
		p := b.plugin(WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		b.register(p, "Arith", "weight=3")
		pass(time.Second)
		must(b, b.zk.Set(nodePath, []byte("weight=9")))
		pass(time.Second)
		if got := p.Status().String(); !strings.HasPrefix(got, "1 services, 1 registered, 1 with an operator's word; connected") {
			b.Error(got)
		}
		must(b, b.zk.Set(nodePath, []byte("weight=3")))
		pass(time.Second)
		must(b, b.zk.Set(nodePath, []byte("weight=8")))
		pass(time.Second)
		must(b, p.ClearOperator("Arith"))
		pass(time.Second)
		must(b, p.Stop())
		for _, want := range []string{
			"his word counts\" service=Arith key=weight before=3 after=9 version=1 time=2000-01-01T00:00:01",
			"taken his word back\" service=Arith key=weight before=9 after=3 version=3 time=",
			"the program has ended an operator's word\" service=Arith key=weight before=8 after=3",
		} {
			if !strings.Contains(log.String(), want) {
				b.Errorf("%q is not in\n%s", want, log.String())
			}
		}
		if strings.Contains(log.String(), "restoring them") {
			b.Errorf("a word is taken for vandalism:\n%s", log.String())
		}
	})
}
