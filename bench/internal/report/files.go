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
	document, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	files := map[string][]byte{"results.md": table.Bytes(), "results.json": append(document, '\n')}
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
