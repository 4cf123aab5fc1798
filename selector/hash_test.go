package selector

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// beHasher is the environment variable that makes the test binary print where keys belong, and nothing else.
const beHasher = "HOLDFAST_TEST_HASHER"

type order struct {
	Customer string
	Lines    []int
	Note     *string
}

func keysBelongTo() string {
	s, err := New(WithPolicy(ConsistentHash), WithoutProbing())
	if err != nil {
		return err.Error()
	}
	defer s.Close()
	s.UpdateServer(fleet(3, oneToTen))
	s.UpdateServer(fleet(50, oneToTen))
	var b strings.Builder
	for i := range 200 {
		for _, args := range []any{i, fmt.Sprint(i), []byte{byte(i)}, &order{Customer: fmt.Sprint(i), Lines: []int{i, 2}}, map[string]int{"a": i, "b": 2}} {
			b.WriteString(s.owner(s.callHash(call{context.Background(), "Orders", "Place", args})))
		}
	}
	return b.String()
}

// owner returns the key of the server that a hash belongs to, whatever its state.
func (s *Selector) owner(hash uint64) string {
	g := s.main.table.Load().pool.groups[0]
	return g.servers[g.ring.Walk(hash, 1, func(int) bool { return true })].key
}

func TestAKeyHasTheSameServerInEveryProcess(t *testing.T) {
	want := keysBelongTo()
	for range 20 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), beHasher+"=1", "GORACE=atexit_sleep_ms=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(out)); diff != "" {
			t.Fatalf("in another process: -here +there\n%s", diff)
		}
	}
}

// wantFit fails when counts deviate from what is expected more than chance would let them once in a million times: Pearson's chi-squared test with
// the Wilson-Hilferty approximation.
func wantFit(tb testing.TB, got []int, want []float64) {
	tb.Helper()
	var chi float64
	for i := range got {
		if want[i] < 5 {
			tb.Fatalf("%v of the %d-th are expected: too few to test", want[i], i)
		}
		chi += (float64(got[i]) - want[i]) * (float64(got[i]) - want[i]) / want[i]
	}
	k := float64(len(got) - 1)
	z := (math.Cbrt(chi/k) - (1 - 2/(9*k))) / math.Sqrt(2/(9*k))
	if z > 4.75 {
		tb.Errorf("chi-squared %.1f with %v degrees of freedom: not by chance\n got %v\nwant %.0f", chi, k, got, want)
	}
}
