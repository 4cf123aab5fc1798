package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/spf13/cobra"
)

const (
	confirmWithin = 10 * time.Second // how long an instance's own process has to confirm a word
	lookEvery     = 100 * time.Millisecond
	writeAttempts = 5 // when somebody else writes in between
)

const operatorLong = "\n\nThe word is written into the instance's metadata. A server with Holdfast's plugin confirms it by writing the node once more, so that its version\n" +
	"grows: that is waited for, 10 s at most. Without that the word is written all the same (exit code 5)."

func (a *app) drain() *cobra.Command {
	return a.word("drain INSTANCE", "Have clients stop choosing an instance: state=inactive", cobra.ExactArgs(1),
		func([]string) (string, *string, error) { inactive := "inactive"; return "state", &inactive, nil })
}

func (a *app) undrain() *cobra.Command {
	return a.word("undrain INSTANCE", "Have clients choose an instance again", cobra.ExactArgs(1),
		func([]string) (string, *string, error) { return "state", nil, nil })
}

func (a *app) weight() *cobra.Command {
	return a.word("weight INSTANCE N", "Set the weight of an instance, 0 to 1000000", cobra.ExactArgs(2),
		func(args []string) (string, *string, error) {
			if n, err := strconv.Atoi(args[1]); err != nil || n < 0 || n > 1_000_000 {
				return "", nil, fail(exitUsage, "weight %s: 0 to 1000000 is needed", args[1])
			}
			return "weight", &args[1], nil
		})
}

// word is a command that says something of one key of an instance's metadata; nil takes the key out.
func (a *app) word(use, short string, args cobra.PositionalArgs, say func(args []string) (key string, value *string, err error)) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Long: short + "." + operatorLong, Args: args,
		RunE: func(c *cobra.Command, args []string) error {
			path, err := a.servicePath()
			if err != nil {
				return err
			}
			key, value, err := say(args)
			if err != nil {
				return err
			}
			return a.with(c.Context(), func(ctx context.Context, zk *zookeeper) error {
				return a.write(ctx, zk, path, args[0], key, value)
			})
		},
	}
	a.needService(c)
	return c
}

// written is the result of a word.
type written struct {
	Service  string `json:"service"`
	Instance string `json:"instance"`
	Before   string `json:"before"` // metadata
	Metadata string `json:"metadata"`
	Version  int32  `json:"version"`
	Outcome  string `json:"outcome"` // "confirmed", "not confirmed", "overruled", "gone", "nothing to do"
}

func (a *app) write(ctx context.Context, zk *zookeeper, path, instanceKey, key string, value *string) error {
	w, node, err := zk.say(ctx, path, instanceKey, key, value)
	if err != nil {
		return err
	}
	if w.Outcome == "" {
		a.note("written; waiting for this instance's process to confirm")
		if w.Outcome, err = zk.confirmed(ctx, node, key, value, &w); err != nil {
			return err
		}
	}
	if err := a.result(w, func(out io.Writer) {
		_, _ = fmt.Fprintf(out, "%s: %s (was %s), version %d, %s\n", cell(instanceKey), quoted(w.Metadata), quoted(w.Before), w.Version, w.Outcome)
	}); err != nil {
		return err
	}
	switch w.Outcome {
	case "not confirmed":
		return fail(exitNotConfirmed, "written; this instance's process does not confirm")
	case "overruled":
		return fail(exitOverruled, "written, and this instance's process has put its own metadata back")
	case "gone":
		return fail(exitNotFound, "the instance has gone meanwhile")
	}
	return nil
}

func quoted(metadata string) string { return strconv.QuoteToASCII(cell(metadata)) }

// say writes a word, and again where somebody else has written in between. A node that has gone is not made anew: it would belong to nobody. What is said
// already has its outcome: the instance's process would take it for somebody else's writing, and confirm nothing.
func (zk *zookeeper) say(ctx context.Context, path, instanceKey, key string, value *string) (written, instance, error) {
	for attempt := 1; ; attempt++ {
		i, err := zk.find(ctx, path, instanceKey)
		if err != nil {
			return written{}, i, err
		}
		text, err := withWord(i.Metadata, key, value)
		if err != nil {
			return written{}, i, err
		}
		if sameQuery(text, i.Metadata) {
			return written{path, instanceKey, i.Metadata, i.Metadata, i.Version, "nothing to do"}, i, nil
		}
		_, err = zk.Write(ctx, zk.State().Session, session.Set{Path: i.path, Data: []byte(text), Version: i.Version})
		switch {
		case err == nil:
			return written{Service: path, Instance: instanceKey, Before: i.Metadata, Metadata: text, Version: i.Version + 1}, i, nil
		case errors.Is(err, session.ErrBadVersion) && attempt < writeAttempts:
		case errors.Is(err, session.ErrNoNode):
			return written{}, i, fail(exitNotFound, "%s has no instance %s any more", path, instanceKey)
		default:
			return written{}, i, fmt.Errorf("write %s: %w", i.path, err)
		}
	}
}

// withWord puts a key into a URL query, or takes it out; the rest stays as it was written.
func withWord(metadata, key string, value *string) (string, error) {
	if _, err := url.ParseQuery(metadata); err != nil {
		return "", fail(exitFailed, "the metadata is not a URL query, so that nothing can be said in it: %w", err)
	}
	var parts []string
	for part := range strings.SplitSeq(metadata, "&") {
		k, _, _ := strings.Cut(part, "=")
		if k, _ = url.QueryUnescape(k); part != "" && k != key {
			parts = append(parts, part)
		}
	}
	if value != nil {
		parts = append(parts, key+"="+url.QueryEscape(*value))
	}
	return strings.Join(parts, "&"), nil
}

// confirmed waits until the instance's own process has written the node once more, and says what came of it.
func (zk *zookeeper) confirmed(ctx context.Context, node instance, key string, value *string, w *written) (outcome string, err error) {
	limit := time.NewTimer(confirmWithin)
	defer limit.Stop()
	every := time.NewTicker(lookEvery)
	defer every.Stop()
	path := node.path[:strings.LastIndexByte(node.path, '/')]
	for {
		select {
		case <-every.C:
		case <-limit.C:
			return "not confirmed", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
		now, err := zk.find(ctx, path, node.Key)
		switch {
		case codeOf(err) == exitNotFound:
			return "gone", nil
		case err != nil:
			return "", err
		case now.czxid != node.czxid:
			return "overruled", nil // it was registered anew
		case now.Version > w.Version:
			w.Version, w.Metadata = now.Version, now.Metadata
			if said, _ := withWord(now.Metadata, key, value); !sameQuery(said, now.Metadata) {
				return "overruled", nil
			}
			return "confirmed", nil
		}
	}
}

// sameQuery reports whether two queries say the same, in whatever order.
func sameQuery(a, b string) bool {
	x, errX := url.ParseQuery(a)
	y, errY := url.ParseQuery(b)
	return errX == nil && errY == nil && x.Encode() == y.Encode()
}
