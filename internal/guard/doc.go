// Package guard keeps a registry outage from becoming a service outage: it suspects a sudden loss of many or all instances instead of obeying
// it, asks the missing ones themselves, and lets those go that do not answer.
//
// When a registry comes back from an outage that was longer than its sessions, its list is empty or short although every server is up. A client
// that believes it stops calling; one that never believes it goes on calling the dead. A [Guard] does neither.
//
// # What holds
//
//   - Additions, changes and goodbyes (an instance that said state=inactive before it went) pass at once, always.
//   - A removal passes at once when it is one of few. When the active instances become fewer than they were at any time within a window, by more than
//     a share, or no active one would be left, the missing ones, those lost earlier in the window included, are held: they stay in the list, marked,
//     and are probed. So a fleet may be replaced as often as its owner likes: whoever comes makes good the oldest loss, and that one is not missed
//     any more. In the window after a reconnect every removal is held from the first, whoever comes. The first list of another lineage is a mass
//     removal by definition.
//   - While the registry cannot be asked nobody leaves and nobody is asked: it may be this process that is cut off.
//   - What only a file knows is not put into the list until a probe has succeeded.
//   - A held instance leaves when it is listed again, when two probes in a row fail, or when its hold ends without an answer. One that
//     answers stays as long as it answers. A probe that could not ask lets nobody go.
//   - Memory and probes are bounded: [MaxHeld] instances, [Config.Parallel] probes at once, one per instance and second at most,
//     however often a list flaps.
//
// Guard decides and does nothing else: a pure fold over events in which time is an event too, owned by one goroutine, so that tables, a fuzzer
// and simulated days can drive it. Package probe performs the probes that it asks for.
package guard
