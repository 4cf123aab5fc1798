package words

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type weather uint8

var weathers = []string{"", "rain", "sun shine"}

func (w weather) MarshalText() ([]byte, error) { return []byte(Name(weathers, "weather", w)), nil }

func TestNamesAreParsedBack(t *testing.T) {
	for i, name := range weathers {
		w := weather(77)
		if err := Parse(weathers, "weather", []byte(name), &w); err != nil || int(w) != i || Name(weathers, "weather", w) != name {
			t.Errorf("%q is %d, %v", name, w, err)
		}
	}
	w := weather(1)
	for _, text := range []string{"snow", "weather(1)", "Rain", "1"} {
		if err := Parse(weathers, "weather", []byte(text), &w); err == nil || w != 1 {
			t.Errorf("%q is %d, %v", text, w, err)
		}
	}
	type temperature int
	if got := Name(weathers, "weather", weather(9)) + Name(weathers, "temperature", temperature(-1)); got != "weather(9)temperature(-1)" {
		t.Error(got)
	}
}

type Common struct {
	Count  int64
	hidden int
}

type Part struct{ Of weather }

func TestAStructIsJSONThatLosesNothing(t *testing.T) {
	type state struct {
		Weather   weather
		At, Never time.Time
		Err, None error
		Wait      time.Duration
		ID        int64
		Parts     []Part
		Nothing   []Part
		Quoted    string
		Common
		hidden error
		Last   bool
	}
	got, err := JSON(state{
		Weather: 2, At: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Err: errors.New(`no "node"`), Wait: 1500 * time.Millisecond, ID: -1,
		Parts: []Part{{1}, {9}}, Quoted: `"`, Common: Common{Count: 3, hidden: 1}, hidden: errors.New("hidden"), Last: true,
	}, "ID")
	want := `{"weather":"sun shine","at":"2026-01-02T03:04:05.000000006Z","err":"no \"node\"","waitSeconds":1.5,"id":"0xffffffffffffffff",` +
		`"parts":[{"Of":"rain"},{"Of":"weather(9)"}],"nothing":[],"quoted":"\"","count":3,"last":true}`
	if err != nil || string(got) != want || !json.Valid(got) {
		t.Errorf("%v\n%s, want\n%s", err, got, want)
	}
	if got, err := JSON(struct{}{}); string(got) != "{}" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := JSON(struct{ F func() }{}); err == nil {
		t.Error("what has no JSON is no error")
	}
}
