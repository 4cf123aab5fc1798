package session

import (
	"cmp"
	"context"
	"slices"
)

// Identity is somebody whom ZooKeeper takes the client for: "digest" and the user's name, "ip" and the address.
type Identity struct{ Scheme, User string }

// WhoAmI returns whom the server that is connected takes this client for, in the order of schemes and users. A digest is one that was given, and nothing
// more: ZooKeeper refuses no password, and ACLs match those that are right. Ask only a server that is known to be of 3.7 or later: an earlier one hangs up.
func (s *Session) WhoAmI(ctx context.Context) ([]Identity, error) {
	var all []Identity
	err := s.exchange(ctx, &exchange{op: opWhoAmI, n: 1, path: s.only(""), take: func(_ int, refusal error, body []byte) (err error) {
		if refusal != nil {
			return notOfANode("whoAmI", refusal)
		}
		all, err = decodeIdentities(body)
		return err
	}})
	slices.SortFunc(all, func(a, b Identity) int { return cmp.Or(cmp.Compare(a.Scheme, b.Scheme), cmp.Compare(a.User, b.User)) })
	return all, err
}
