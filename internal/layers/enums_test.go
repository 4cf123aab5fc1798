package layers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
)

// V1: enums were numbers in JSON.
func TestExportedEnumsAreWordsInJSON(t *testing.T) {
	enums, marshal := make(map[string]bool), make(map[string]bool)
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); n == "testdata" || n == "internal" || n == "bench" || n == "example" || len(n) > 1 && n[0] == '.' {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeSpec:
				if of, ok := n.Type.(*ast.Ident); ok && n.Name.IsExported() && strings.Contains(of.Name, "int") {
					enums[path.Dir(name)+"."+n.Name.Name] = true
				}
			case *ast.FuncDecl:
				if n.Recv != nil && n.Name.Name == "MarshalText" {
					if of, ok := n.Recv.List[0].Type.(*ast.Ident); ok {
						marshal[path.Dir(name)+"."+of.Name] = true
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, known := range []string{"zkdiscovery.Source", "selector.State", "zkdiscovery/serverplugin.Phase"} {
		if !enums[known] {
			t.Errorf("%s is not found", known)
		}
	}
	for enum := range enums {
		if !marshal[enum] {
			t.Errorf("%s has no MarshalText", enum)
		}
	}
}
