// Package words turns what people and monitoring read into words: enums, and the states of things as JSON.
package words

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
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
	to, err := fields([]byte{'{'}, reflect.ValueOf(status), hex)
	return append(to, '}'), err
}

func fields(to []byte, status reflect.Value, hex []string) ([]byte, error) {
	var errs []error
	for f, v := range status.Fields() {
		var err error
		if f.Anonymous {
			if to, err = fields(to, v, hex); err != nil {
				errs = append(errs, err)
			}
			continue
		}
		if !f.IsExported() {
			continue
		}
		value, unit := v.Interface(), ""
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
			value, unit = is.Seconds(), "Seconds"
		default:
			if v.Kind() == reflect.Slice && v.IsNil() {
				value = []any{}
			}
			if slices.Contains(hex, f.Name) {
				value = Hex(v.Int())
			}
		}
		if len(to) > 1 {
			to = append(to, ',')
		}
		to = append(appendKey(append(to, '"'), f.Name), unit+`":`...) // a Go identifier needs no escape
		if to, err = appendValue(to, value); err != nil {
			errs = append(errs, err)
		}
	}
	return to, errors.Join(errs...)
}

// appendValue is json.Marshal, with a short way for what most fields are.
func appendValue(to []byte, value any) ([]byte, error) {
	switch is := value.(type) {
	case bool:
		return strconv.AppendBool(to, is), nil
	case int:
		return strconv.AppendInt(to, int64(is), 10), nil
	case int64:
		return strconv.AppendInt(to, is, 10), nil
	case uint64:
		return strconv.AppendUint(to, is, 10), nil
	case time.Time:
		to, err := is.AppendText(append(to, '"'))
		return append(to, '"'), err
	}
	text, err := json.Marshal(value)
	return append(to, text...), err
}

// Hex is how ZooKeeper writes the id of a session or of a transaction.
func Hex(id int64) string {
	return "0x" + strconv.FormatUint(uint64(id), 16) //nolint:gosec // the bits as they are
}

// appendKey appends a name with a small first letter. One of capitals only is an abbreviation.
func appendKey(to []byte, name string) []byte {
	if len(name) > 1 && !strings.ContainsFunc(name, unicode.IsLower) {
		return append(to, strings.ToLower(name)...)
	}
	return append(append(to, name[0]|' '), name[1:]...)
}
