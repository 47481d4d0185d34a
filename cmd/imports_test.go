package cmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sandi/cmd/internal/messages"
)

// leaves are the packages that know nothing of each other and nothing of a command line.
var leaves = []string{"agenda", "crypto", "mail"}

// TestImports keeps the direction cmd → desk → {agenda, crypto, mail}.
func TestImports(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Deps,Imports", "sandi/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := 0
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath    string
			Deps, Imports []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages++
		for _, fault := range importFaults(p.ImportPath, p.Imports, p.Deps) {
			t.Error(fault)
		}
	}
	if packages < 5 {
		t.Errorf("only %d packages seen", packages)
	}
}

func importFaults(name string, imports, deps []string) []string {
	var faults []string
	rest := strings.TrimPrefix(name, "sandi/")
	leaf, _, _ := strings.Cut(rest, "/")
	if slices.Contains(leaves, leaf) {
		for _, d := range deps {
			first, _, _ := strings.Cut(strings.TrimPrefix(d, "sandi/"), "/")
			switch {
			case strings.HasPrefix(d, "github.com/spf13/"):
				faults = append(faults, name+" depends on "+d)
			case strings.HasPrefix(d, "sandi/") && first != leaf:
				faults = append(faults, name+" depends on "+d)
			}
		}
		if slices.Contains(imports, "flag") {
			faults = append(faults, name+" reads flags")
		}
	}
	for _, d := range imports {
		if strings.HasPrefix(d, "github.com/spf13/cobra") && rest != "cmd" {
			faults = append(faults, name+" imports "+d)
		}
		if d == "sandi/cmd" && rest != "cmd/sandi" {
			faults = append(faults, name+" imports the command tree")
		}
		if d == "sandi/cmd/internal/desk" && rest != "cmd" {
			faults = append(faults, name+" imports the desk")
		}
	}
	return faults
}

func TestImportFaultsFindsThem(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name          string
		imports, deps []string
		want          int
	}{
		{"sandi/agenda", nil, []string{"fmt", "sandi/agenda/hours", "modernc.org/sqlite"}, 0},
		{"sandi/agenda", nil, []string{"sandi/crypto"}, 1},
		{"sandi/mail/loopback", nil, []string{"sandi/mail", "github.com/spf13/viper"}, 1},
		{"sandi/crypto", []string{"flag"}, []string{"sandi/cmd/internal/vault"}, 2},
		{"sandi/cmd/internal/term", []string{"github.com/spf13/cobra", "sandi/cmd"}, nil, 2},
		{"sandi/cmd/internal/render", []string{"sandi/cmd/internal/desk"}, nil, 1},
		{"sandi/cmd", []string{"github.com/spf13/cobra", "sandi/cmd/internal/desk"}, nil, 0},
	} {
		if got := importFaults(tc.name, tc.imports, tc.deps); len(got) != tc.want {
			t.Errorf("%s: %v, want %d faults", tc.name, got, tc.want)
		}
	}
}

// leafCalls are what a leaf may not call: it takes readers and writers, and gives back values. The exceptions name the file.
var (
	leafCalls = regexp.MustCompile(`^(os\.(Create|CreateTemp|OpenFile|Rename|WriteFile|Mkdir|MkdirAll|MkdirTemp|Link|Symlink|Remove|RemoveAll|Getenv|LookupEnv|Environ|Exit)|fmt\.(Print|Printf|Println|Scan|Scanf|Scanln)|log\.(Print|Printf|Println|Panic|Panicf)|print|println)$`)

	leafExceptions = map[string]string{
		"agenda/book.go:os.OpenFile":              "the database is made 0600 before SQLite opens it",
		"mail/loopback/loopback.go:os.WriteFile":  "the practice gateway keeps what it accepted",
		"mail/loopback/loopback.go:os.OpenFile":   "the practice gateway keeps what it accepted",
		"mail/loopback/loopback.go:os.Rename":     "the practice gateway keeps what it accepted",
		"mail/loopback/loopback.go:os.CreateTemp": "the practice gateway keeps what it accepted",
		"mail/loopback/loopback.go:os.Create":     "the practice gateway keeps what it accepted",
		"mail/loopback/loopback.go:os.Remove":     "the practice gateway keeps what it accepted",
	}
)

// TestCalls keeps leaves from printing, reading the environment and making files, and everybody but main from ending the process.
func TestCalls(t *testing.T) {
	t.Parallel()
	for file, tree := range sources(t) {
		leaf := slices.Contains(leaves, strings.Split(file, "/")[0])
		ast.Inspect(tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name := callName(call)
			switch {
			case name == "os.Exit" && file != "cmd/sandi/main.go", strings.HasPrefix(name, "log.Fatal"):
				t.Errorf("%s calls %s", file, name)
			case leaf && leafCalls.MatchString(name) && leafExceptions[file+":"+name] == "":
				t.Errorf("%s calls %s", file, name)
			}
			return true
		})
	}
}

// sources parses every Go file of the project that is not a test, by its path from the top folder.
func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	for _, top := range append([]string{"cmd"}, leaves...) {
		err := filepath.WalkDir(filepath.Join("..", top), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
				return err
			}
			tree, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			files[path.Clean(strings.TrimPrefix(filepath.ToSlash(name), "../"))] = tree
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(files) < 20 {
		t.Fatalf("only %d source files found", len(files))
	}
	return files
}

func callName(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
	}
	return ""
}

// codePattern is the form of a stable error code; a leaf's begin with its own name or that of a package in its folder, since its
// event types look alike.
var (
	codePattern = regexp.MustCompile(`^(agenda|hours|extract|crypto|mail|desk|vault|config|term|usage)\.[a-z][a-z0-9_]*$`)
	leafPattern = map[string]*regexp.Regexp{
		"agenda": regexp.MustCompile(`^(agenda|hours|extract)\.[a-z][a-z0-9_]*$`),
		"crypto": regexp.MustCompile(`^crypto\.[a-z][a-z0-9_]*$`),
		"mail":   regexp.MustCompile(`^(mail|loopback)\.[a-z][a-z0-9_]*$`),
	}
)

// notCodes are texts of the same form that are no errors.
var notCodes = []string{"agenda.db", "config.yaml"}

// TestErrorMessages demands a message in both languages for every error code that stands in the sources.
func TestErrorMessages(t *testing.T) {
	t.Parallel()
	codes := map[string]string{}
	for file, tree := range sources(t) {
		// exit.go and root.go name codes of others, and prefixes.
		if file == "cmd/exit.go" {
			continue
		}
		pattern := codePattern
		if p := leafPattern[strings.Split(file, "/")[0]]; p != nil {
			pattern = p
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil && pattern.MatchString(s) && !slices.Contains(notCodes, s) {
					if !(strings.HasPrefix(file, "cmd/") && messages.For(messages.Indonesian).Has(s)) { // the id of a message
						codes[s] = file
					}
				}
			}
			return true
		})
	}
	if len(codes) < 60 {
		t.Errorf("only %d codes found", len(codes))
	}
	for code, file := range codes {
		for _, lang := range []messages.Lang{messages.Indonesian, messages.English} {
			if !messages.For(lang).Has("error." + code) {
				t.Errorf("%s: no message error.%s in %s", file, code, lang)
			}
		}
	}
}

// argsOf are the methods that take a message's id and its pairs, with the place of the id.
var argsOf = map[string]int{
	"Text": 0, "say": 0, "print": 0, "warn": 0, "passphrase": 0, "password": 0, "ask": 1, "confirm": 1, "usageError": 0,
}

// TestMessageCalls demands that every message that a command names exists and gets the arguments that it shows.
func TestMessageCalls(t *testing.T) {
	t.Parallel()
	catalogue := messages.For(messages.Indonesian)
	calls := 0
	for file, tree := range sources(t) {
		if path.Dir(file) != "cmd" {
			continue
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			var name string
			switch f := call.Fun.(type) {
			case *ast.Ident:
				name = f.Name
			case *ast.SelectorExpr:
				name = f.Sel.Name
				if x, ok := f.X.(*ast.Ident); ok && x.Name != "a" {
					return true
				}
			}
			at, ok := argsOf[name]
			if !ok || len(call.Args) <= at {
				return true
			}
			id, ok := literal(call.Args[at])
			if !ok || !strings.Contains(id, ".") && !catalogue.Has(id) {
				return true
			}
			calls++
			if name == "usageError" {
				id = "error." + id
			}
			if !catalogue.Has(id) {
				t.Errorf("%s: no message %s", file, id)
				return true
			}
			if name == "usageError" || call.Ellipsis.IsValid() {
				return true // missing arguments are filled in
			}
			given := map[string]bool{}
			for i := at + 1; i < len(call.Args); i += 2 {
				if arg, ok := literal(call.Args[i]); ok {
					given[arg] = true
				}
			}
			for _, p := range catalogue.Placeholders(id) {
				if !given[p] {
					t.Errorf("%s: %s does not get {%s}", file, id, p)
				}
			}
			return true
		})
	}
	if calls == 0 {
		t.Error("no call seen")
	}
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// TestErrorDefaults demands a word for every argument of an error message that nobody gave.
func TestErrorDefaults(t *testing.T) {
	t.Parallel()
	catalogue := messages.For(messages.Indonesian)
	for _, id := range messages.IDs() {
		if !strings.HasPrefix(id, "error.") {
			continue
		}
		for _, p := range catalogue.Placeholders(id) {
			if !catalogue.Has("default." + p) {
				t.Errorf("%s: {%s} has no default", id, p)
			}
		}
	}
	for n := range slices.Values(exitStatuses) {
		if !catalogue.Has(fmt.Sprintf("status.%d", n)) {
			t.Errorf("no words for status %d", n)
		}
	}
}
