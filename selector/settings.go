package selector

import (
	"reflect"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"
	"github.com/smallnest/rpcx/share"
)

// settings are what an XClient was made with and a wrapper has to know.
type settings struct {
	known    bool
	failMode client.FailMode
	option   client.Option
}

// settingsOf reads an XClient's settings, which it keeps to itself, by reflection. Those of an XClient that is not rpcx's own are unknown; it is
// then taken for one that fails fast: all picks are released with the call that made them, whatever it does.
func settingsOf(xc client.XClient) settings {
	unknown := settings{failMode: client.Failfast, option: client.Option{SerializeType: protocol.SerializeType(^byte(0))}}
	v := reflect.Indirect(reflect.ValueOf(xc))
	if v.Kind() != reflect.Struct || !v.CanAddr() || v.Type().PkgPath() != reflect.TypeFor[client.Option]().PkgPath() {
		return unknown
	}
	failMode, option := v.FieldByName("failMode"), v.FieldByName("option")
	if !failMode.IsValid() || failMode.Type() != reflect.TypeFor[client.FailMode]() ||
		!option.IsValid() || option.Type() != reflect.TypeFor[client.Option]() {
		return unknown
	}
	// A field that is not exported can be read by its address.
	return settings{true, client.FailMode(failMode.Int()), *(*client.Option)(option.Addr().UnsafePointer())}
}

// unencodable reports whether arguments cannot be sent to any server. rpcx returns such an error as it returns a connection's.
func (s *settings) unencodable(args any) bool {
	codec := share.Codecs[s.option.SerializeType]
	if codec == nil || args == nil {
		return false
	}
	_, err := codec.Encode(args)
	return err != nil
}
