package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// corpusFile is one file of recorded decisions.
type corpusFile struct {
	Name string `json:"-"` // without .gz
	Meta struct {
		Now int64 `json:"now"` // milliseconds since 1970
	} `json:"meta"`
	Cases []json.RawMessage `json:"cases"`
}

// caseHead is the part that cases of every file have. Only the comparison may read
// Expect.
type caseHead struct {
	ID     string          `json:"id"`
	Group  string          `json:"group"`
	Expect json.RawMessage `json:"expect"`
}

// readCorpus reads the files in dir that have a judge, plain or compressed.
func readCorpus(dir string) ([]corpusFile, error) {
	var files []corpusFile
	for _, j := range judges {
		text, err := readMaybeZipped(os.DirFS(dir), j.file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		f := corpusFile{Name: j.file}
		if err := json.Unmarshal(text, &f); err != nil {
			return nil, fmt.Errorf("%s: %w", j.file, err)
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s has none of the files that can be replayed", dir)
	}
	return files, nil
}

func readMaybeZipped(dir fs.FS, name string) ([]byte, error) {
	text, err := fs.ReadFile(dir, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	zipped, err := fs.ReadFile(dir, name+".gz")
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return nil, fmt.Errorf("%s.gz: %w", name, err)
	}
	return io.ReadAll(r)
}
