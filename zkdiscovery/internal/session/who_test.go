package session

import (
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestAServerSaysWhomItTakesTheClientFor(t *testing.T) {
	bubble(t, func(t *testing.T, _ *zktest.Server, cfg Config) {
		cfg.Auth = []Auth{{"digest", []byte("zoe:s3cret")}, {"digest", []byte("ann:s3cret:too")}}
		s := connected(t, cfg)
		who, err := s.WhoAmI(t.Context())
		if want := []Identity{{"digest", "ann"}, {"digest", "zoe"}, {"ip", "127.0.0.1"}}; err != nil || !slices.Equal(who, want) {
			t.Errorf("%v, %v, want %v", who, err, want)
		}
		if st := s.State(); st.Link != 1 {
			t.Errorf("%+v", st)
		}
	})
}

func TestAServerThatDoesNotKnowTheQuestionIsSaidToNotKnowIt(t *testing.T) {
	bubble(t, func(t *testing.T, _ *zktest.Server, cfg Config) {
		s := connected(t, cfg)
		if who, err := s.WhoAmI(t.Context()); who != nil || err == nil || !strings.Contains(err.Error(), "does not know this kind of request") {
			t.Errorf("%v, %v", who, err)
		}
		settle(MaxBackoff)
		if st := s.State(); !st.Connected || st.Session != 1 {
			t.Errorf("%+v", st)
		}
	}, zktest.WithVersion(zktest.Version35))
}
