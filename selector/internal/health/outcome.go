package health

// Kind is what has happened.
type Kind uint8

// The kinds of events. The first eight are how an attempt at a server ended; Undialled, Broken and Late are failures of the server.
const (
	NotSent   Kind = iota // nothing was asked of the server: no verdict, and no end of a trial
	Written               // a request without an answer left this process: a weak sign of life
	GivenUp               // the caller or this side ended it: the server takes at least that long
	Undialled             // no connection
	Broken                // the connection broke, or what came over it is not rpcx
	Late                  // no answer in time
	Answered              // the server answered
	Refused               // the service returned an error: the server answered

	ConnectionEnded  // of which no call tells
	RateLow          // its success rate is far below the others'
	ProbeAnswered    // the server is there
	ProbeSilent      // nobody answered
	ProbeUnable      // the network cannot be probed, or this side could not ask
	NobodyReports    // a call tries it, of which nothing will be heard
	ProcessesChanged // another process serves its address

	Outcomes = int(Refused) + 1
	Kinds    = int(ProcessesChanged) + 1
)

// Outcome is a kind that says how an attempt ended.
type Outcome = Kind

// Alive says that the server has answered.
func (k Kind) Alive() bool { return k == Answered || k == Refused }

// Failed says that a request was sent, or would have been, and the server or the network to it failed.
func (k Kind) Failed() bool { return k == Undialled || k == Broken || k == Late }
