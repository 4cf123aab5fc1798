// Package words turns what people and monitoring read into words: enums, and the states of things as JSON.
package words

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Enum is a type whose values count from 0.
type Enum interface{ ~int | ~uint8 }

// Name returns the name of v, and kind(v) for a value that has none.
func Name[E Enum](names []string, kind string, v E) string {
	if v < 0 || int(v) >= len(names) {
		return kind + "(" + strconv.Itoa(int(v)) + ")"
	}
	return names[v]
}

// Parse sets v to the value that text names. If there is none it is an error, and v stays as it is.
func Parse[E Enum](names []string, kind string, text []byte, v *E) error {
	for i, name := range names {
		if name == string(text) {
			*v = E(i)
			return nil
		}
	}
	return fmt.Errorf("no %s has the name %q, but %q", kind, text, names)
}

// JSON returns the exported fields of a struct as a JSON object, in their order, so that nothing is lost that a person would want to read. Keys are
// the names of the fields with a small first letter, ID is id. Fields of an embedded struct stand beside the others.
//
//   - An error is what it says. One that is nil is left out, and so is a time that is zero.
//   - A duration is a number of seconds; its key ends in "Seconds".
//   - The integers in the fields named hex are a string in hexadecimal, as ZooKeeper writes them: a JSON number of that size loses digits.
//   - A slice that is nil is empty.
//
// Everything else is as json.Marshal has it.
func JSON(status any, hex ...string) ([]byte, error) {
	b := bytes.NewBufferString("{")
	err := fields(b, reflect.ValueOf(status), hex)
	b.WriteByte('}')
	return b.Bytes(), err
}

func fields(b *bytes.Buffer, status reflect.Value, hex []string) error {
	var errs []error
	for f, v := range status.Fields() {
		if f.Anonymous {
			errs = append(errs, fields(b, v, hex))
			continue
		}
		if !f.IsExported() {
			continue
		}
		key, value := f.Name, v.Interface()
		switch is := value.(type) {
		case nil:
			continue
		case error:
			value = is.Error()
		case time.Time:
			if is.IsZero() {
				continue
			}
		case time.Duration:
			key, value = key+"Seconds", is.Seconds()
		default:
			if v.Kind() == reflect.Slice && v.IsNil() {
				value = []any{}
			}
			for _, h := range hex {
				if h == key {
					value = Hex(v.Int())
				}
			}
		}
		text, err := marshal(nil, value)
		if err != nil {
			errs = append(errs, err)
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		b.WriteString(lowerFirst(key)) // a Go identifier needs no escape
		b.WriteString(`":`)
		b.Write(text)
	}
	return errors.Join(errs...)
}

// marshal is json.Marshal, with a short way for what most fields are.
func marshal(to []byte, value any) ([]byte, error) {
	switch is := value.(type) {
	case bool:
		return strconv.AppendBool(to, is), nil
	case int:
		return strconv.AppendInt(to, int64(is), 10), nil
	case int64:
		return strconv.AppendInt(to, is, 10), nil
	case uint64:
		return strconv.AppendUint(to, is, 10), nil
	}
	return json.Marshal(value)
}

// Hex is how ZooKeeper writes the id of a session or of a transaction.
func Hex(id int64) string {
	return "0x" + strconv.FormatUint(uint64(id), 16) //nolint:gosec // the bits as they are
}

func lowerFirst(name string) string {
	if len(name) > 1 && name[1] >= 'A' && name[1] <= 'Z' && strings.ToUpper(name) == name {
		return strings.ToLower(name)
	}
	return strings.ToLower(name[:1]) + name[1:]
}
