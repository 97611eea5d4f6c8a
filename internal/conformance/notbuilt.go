package main

import (
	"encoding/json"
	"maps"
)

// notBuilt is the answer to cases of a feature that the library does not have
// yet: it refuses. It is compared with nothing, so that a group is never passed
// over in silence.
type notBuilt map[string]any

func openNotBuilt(answer map[string]any) func(corpusFile) func(json.RawMessage) (decision, error) {
	return func(f corpusFile) func(json.RawMessage) (decision, error) {
		return func(raw json.RawMessage) (decision, error) {
			var head caseHead
			if err := json.Unmarshal(raw, &head); err != nil {
				return nil, err
			}
			line := notBuilt{"file": f.Name, "id": head.ID, "rule": "not-built"}
			maps.Copy(line, answer)
			return line, nil
		}
	}
}

func (notBuilt) compare(json.RawMessage) (verdict, error) {
	return verdict{class: unexplained, rule: "not-built"}, nil
}
