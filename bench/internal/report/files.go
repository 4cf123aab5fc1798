package report

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/holdfast-go/holdfast/bench/internal/result"
)

// WriteFiles writes results.md, results.json and the plots of what was measured.
func WriteFiles(dir string, r *result.Results, titles []Title) error {
	var table bytes.Buffer
	if err := Write(&table, r, titles); err != nil {
		return err
	}
	document, err := document(r)
	if err != nil {
		return err
	}
	files := map[string][]byte{"results.md": table.Bytes(), "results.json": document}
	if err := plots(files, r); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil { //nolint:gosec // to be shown to anybody
			return err
		}
	}
	return nil
}

// document has a line for each cell with its samples, so that one can be found with grep.
func document(r *result.Results) ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	const cell = `{"scenario":`
	return append(bytes.ReplaceAll(b, []byte(cell), []byte("\n"+cell)), '\n'), nil
}
