package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// packages are those whose faults the simulation should notice.
var packages = []string{
	"internal/belief", "zkdiscovery", "zkdiscovery/internal/mirror", "zkdiscovery/internal/session", "zkdiscovery/serverplugin", "filecache", "internal/probe",
	"internal/watchers",
}

// elsewhere are files that no history comes to: what stands in them is for people, for Windows, or for a network that a bubble has not.
var elsewhere = []string{
	"doc.go", "status_json.go", "status.go", "peer.go", "errors.go", "_other.go", "_windows.go", "heartbeat.go", "descriptors_unix.go", "notifier.go", "wrap", "format.go",
	"strays.go", "names.go", "race.go", "listening.go", "metadata.go",
}

// drawn returns faults at random places.
func drawn(root string, seed uint64) func() (mutant, bool, error) {
	r := rand.New(rand.NewPCG(seed, 0))
	var files []string
	for _, p := range packages {
		names, _ := filepath.Glob(filepath.Join(root, p, "*.go"))
		for _, name := range names {
			if !strings.HasSuffix(name, "_test.go") && !slices.ContainsFunc(elsewhere, func(s string) bool { return strings.Contains(filepath.Base(name), s) }) {
				files = append(files, name)
			}
		}
	}
	return func() (mutant, bool, error) {
		for {
			name := files[r.IntN(len(files))]
			text, err := os.ReadFile(name)
			if err != nil {
				return mutant{}, false, err
			}
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, name, text, parser.ParseComments)
			if err != nil {
				return mutant{}, false, err
			}
			faults := places(file)
			if len(faults) == 0 {
				continue
			}
			f := faults[r.IntN(len(faults))]
			line := fset.Position(f.at).Line
			what := f.do()
			var b bytes.Buffer
			if err := format.Node(&b, fset, file); err != nil {
				return mutant{}, false, err
			}
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return mutant{}, false, err
			}
			return mutant{fmt.Sprintf("%s:%d: %s", rel, line, what), map[string]string{rel: b.String()}}, true, nil
		}
	}
}

// place is where a fault can be put.
type place struct {
	at token.Pos
	do func() (what string)
}

var swaps = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR, token.EQL: token.NEQ, token.NEQ: token.EQL,
	token.LAND: token.LOR, token.LOR: token.LAND, token.ADD: token.SUB, token.SUB: token.ADD,
}

// places are all in a file: an operator that becomes its neighbour, a condition that becomes its opposite, a truth that becomes false, a number that is one
// more, a statement that is left out.
func places(file *ast.File) (all []place) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GenDecl:
			return n.Tok == token.CONST || n.Tok == token.VAR
		case *ast.BinaryExpr:
			if to, ok := swaps[n.Op]; ok {
				all = append(all, place{n.OpPos, func() string { was := n.Op; n.Op = to; return fmt.Sprintf("%s becomes %s", was, to) }})
			}
		case *ast.IfStmt:
			all = append(all, place{n.If, func() string {
				n.Cond = &ast.UnaryExpr{Op: token.NOT, X: &ast.ParenExpr{X: n.Cond}}
				return "the condition is turned round"
			}})
		case *ast.Ident:
			if n.Name == "true" || n.Name == "false" {
				all = append(all, place{n.Pos(), func() string {
					was := n.Name
					n.Name = map[string]string{"true": "false", "false": "true"}[was]
					return was + " becomes " + n.Name
				}})
			}
		case *ast.BasicLit:
			if i, err := strconv.Atoi(n.Value); n.Kind == token.INT && err == nil {
				all = append(all, place{n.Pos(), func() string { n.Value = strconv.Itoa(i + 1); return fmt.Sprintf("%d becomes %d", i, i+1) }})
			}
		case *ast.BlockStmt:
			all = append(all, omissions(n.List, func(list []ast.Stmt) { n.List = list })...)
		case *ast.CaseClause:
			all = append(all, omissions(n.Body, func(list []ast.Stmt) { n.Body = list })...)
		}
		return true
	})
	return all
}

func omissions(list []ast.Stmt, set func([]ast.Stmt)) (all []place) {
	for i, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt, *ast.IncDecStmt:
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE {
				continue
			}
		default:
			continue
		}
		all = append(all, place{s.Pos(), func() string {
			var b bytes.Buffer
			_ = format.Node(&b, token.NewFileSet(), s) // into memory
			set(slices.Concat(list[:i], list[i+1:]))
			return "without " + strings.ReplaceAll(b.String(), "\n", " ")
		}})
	}
	return all
}
