package health

// Outcome is how one attempt at a server ended.
type Outcome uint8

// The outcomes. Undialled, Broken and Late are failures of the server.
const (
	NotSent   Outcome = iota // nothing was asked of the server: no verdict, and no end of a trial
	Written                  // a request without an answer left this process: a weak sign of life
	GivenUp                  // the caller or this side ended it: the server takes at least that long
	Undialled                // no connection
	Broken                   // the connection broke, or what came over it is not rpcx
	Late                     // no answer in time
	Answered                 // the server answered
	Refused                  // the service returned an error: the server answered
	Outcomes  = iota
)

var outcomeNames = [Outcomes]string{"not sent", "written", "given up", "undialled", "broken", "late", "answered", "refused by the service"}

func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "unknown outcome"
}

// Alive says that the server has answered.
func (o Outcome) Alive() bool { return o == Answered || o == Refused }

// Failed says that a request was sent, or would have been, and the server or the network to it failed.
func (o Outcome) Failed() bool { return o == Undialled || o == Broken || o == Late }

// Kind is what a server's health hears of an outcome; false when that is nothing.
func (o Outcome) Kind() (Kind, bool) {
	k := [Outcomes]Kind{Written: CallWritten, Undialled: CallUndialled, Broken: CallBroke, Late: CallLate, Answered: CallAnswered, Refused: CallAnswered}
	return k[o], o != NotSent && o != GivenUp
}
