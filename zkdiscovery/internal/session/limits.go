package session

import "time"

const (
	// firstStep is how long resolving a name, dialling an address and TLS may take each, at first.
	firstStep = time.Second
	// longestSession stands in for a longer session timeout that was asked for, until the server has said what it grants: 40 s by default.
	longestSession = 40 * time.Second
)

// limits are how long the steps of an attempt to connect may take. Each step has one of its own, so that a slow name server does not take the time
// of the handshake. They grow with every round that fails, up to the session timeout: what is slow is connected late, and not never.
type limits struct {
	step      time.Duration // resolving a name, dialling one address, TLS
	handshake time.Duration
}

func newLimits(session time.Duration, failedRounds int) limits {
	longest := max(session, firstStep)
	grown := func(d time.Duration) time.Duration {
		for range failedRounds {
			if d >= longest {
				break
			}
			d *= 2
		}
		return min(d, longest)
	}
	return limits{step: grown(firstStep), handshake: grown(max(session/2, firstStep))}
}

// sessionTimeout is what was negotiated last, or else what is asked for. The caller holds mu.
func (s *Session) sessionTimeout() time.Duration {
	if s.state.Timeout > 0 {
		return s.state.Timeout
	}
	return min(s.cfg.SessionTimeout, longestSession)
}
