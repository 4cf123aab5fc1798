package interop

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	ours "github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
	theirs "github.com/rpcxio/rpcx-zookeeper/serverplugin"
)

// TestAServerChangesOverByItsImportLine compares everything that rpcx-zookeeper exports with what is here.
func TestAServerChangesOverByItsImportLine(t *testing.T) {
	have := exported(t, "github.com/holdfast-go/holdfast/zkdiscovery/serverplugin")
	for name := range exported(t, "github.com/rpcxio/rpcx-zookeeper/serverplugin") {
		if !have[name] {
			t.Errorf("%s is missing", name)
		}
	}
	their, our := reflect.TypeFor[theirs.ZooKeeperRegisterPlugin](), reflect.TypeFor[ours.ZooKeeperRegisterPlugin]()
	for f := range their.Fields() {
		if got, ok := our.FieldByName(f.Name); f.IsExported() && (!ok || got.Type != f.Type) {
			t.Errorf("field %s is %v, want %v", f.Name, got.Type, f.Type)
		}
	}
	their, our = reflect.PointerTo(their), reflect.PointerTo(our)
	for m := range their.Methods() {
		if got, ok := our.MethodByName(m.Name); !ok || signature(got.Type, 1) != signature(m.Type, 1) {
			t.Errorf("method %s is %v, want %v", m.Name, got.Type, m.Type)
		}
	}
	for name, f := range map[string][2]any{
		"WithZKServersAddress":       {theirs.WithZKServersAddress, ours.WithZKServersAddress},
		"WithZKServiceAddress":       {theirs.WithZKServiceAddress, ours.WithZKServiceAddress},
		"WithZKBasePath":             {theirs.WithZKBasePath, ours.WithZKBasePath},
		"WithZKMetrics":              {theirs.WithZKMetrics, ours.WithZKMetrics},
		"WithZkUpdateInterval":       {theirs.WithZkUpdateInterval, ours.WithZkUpdateInterval},
		"WithZkOptions":              {theirs.WithZkOptions, ours.WithZkOptions},
		"NewZooKeeperRegisterPlugin": {theirs.NewZooKeeperRegisterPlugin, ours.NewZooKeeperRegisterPlugin},
	} {
		if want, got := signature(reflect.TypeOf(f[0]), 0), signature(reflect.TypeOf(f[1]), 0); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

// signature is a function's, without its first parameters. Both packages have the same name, so that their own types read alike.
func signature(f reflect.Type, from int) string {
	var b strings.Builder
	for i := from; i < f.NumIn(); i++ {
		b.WriteString(f.In(i).String() + ",")
	}
	for out := range f.Outs() {
		b.WriteString("→" + out.String())
	}
	return b.String()
}

// directory returns where a package's source is.
func directory(t *testing.T, pkg string) string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(dir))
}

// exported returns the names of the types and functions that a package exports.
func exported(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(directory(t, pkg), "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	names := make(map[string]bool)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				names[d.Name.Name] = names[d.Name.Name] || d.Recv == nil && d.Name.IsExported()
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if s, ok := s.(*ast.TypeSpec); ok && s.Name.IsExported() {
						names[s.Name.Name] = true
					}
				}
			}
		}
	}
	for name, is := range names {
		if !is {
			delete(names, name)
		}
	}
	return names
}
