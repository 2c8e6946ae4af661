package ml

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/streamql/streamql/flow"
)

// Input is a column that a model reads.
type Input struct {
	Name string
	Type flow.Type
}

// Bundle is one version of a model with everything that prediction needs. It is immutable and
// may be shared; each user has its own Scoring.
type Bundle struct {
	Spec         Spec
	Source       Source
	Inputs       []Input // the values of the source's features, an array's by element
	Preparation  *Preparation
	Model        Model
	Target       Input    // Type nil: none
	Classes      []string // names of the target's class numbers
	Threshold    float64  // of anomaly scores
	HasThreshold bool
}

// bundleMeta is the head of a bundle's payload. It depends only on rows, options and seed.
type bundleMeta struct {
	Type        string      `json:"type"`
	TypeVersion int         `json:"type_version"`
	Features    []Feature   `json:"features"`
	Options     Options     `json:"options"`
	Mode        Modes       `json:"mode"`
	Source      *Source     `json:"source,omitempty"`
	Inputs      [][2]string `json:"inputs"`
	Target      *[2]string  `json:"target,omitempty"`
	Classes     []string    `json:"classes,omitempty"`
	Threshold   *float64    `json:"threshold,omitempty"`
}

// MarshalBinary writes the payload of the version.
func (b *Bundle) MarshalBinary() ([]byte, error) {
	t, err := Lookup(b.Spec.Type)
	if err != nil {
		return nil, err
	}
	meta := bundleMeta{
		Type:        t.Name,
		TypeVersion: t.Version,
		Features:    b.Preparation.Features(),
		Options:     b.Spec.Options,
		Mode:        b.Spec.Mode,
		Classes:     b.Classes,
	}
	if b.Source.Known() {
		meta.Source = &b.Source
	}
	for _, in := range b.Inputs {
		meta.Inputs = append(meta.Inputs, [2]string{in.Name, flow.TypeName(in.Type)})
	}
	if b.Target.Type != nil {
		meta.Target = &[2]string{b.Target.Name, flow.TypeName(b.Target.Type)}
	}
	if b.HasThreshold {
		meta.Threshold = &b.Threshold
	}
	model, err := b.Model.MarshalBinary()
	if err != nil {
		return nil, err
	}
	preparation, err := b.Preparation.MarshalBinary()
	if err != nil {
		return nil, err
	}
	var p Payload
	if err := p.SetMeta(meta); err != nil {
		return nil, err
	}
	p.PutBytes("preparation", preparation)
	p.PutBytes("model", model)
	return p.MarshalBinary()
}

// UnmarshalBinary reads a version. Errors wrap ErrShape or ErrFormat.
func (b *Bundle) UnmarshalBinary(data []byte) error {
	var p Payload
	if err := p.UnmarshalBinary(data); err != nil {
		return err
	}
	var meta bundleMeta
	if err := p.GetMeta(&meta); err != nil {
		return err
	}
	t, err := Lookup(meta.Type)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrFormat, err)
	}
	if meta.TypeVersion > t.Version {
		return fmt.Errorf(
			"%w: %s version %d, this program reads up to %d",
			ErrFormat,
			t.Name,
			meta.TypeVersion,
			t.Version,
		)
	}
	out := Bundle{
		Spec: Spec{
			Type:     t.Name,
			Features: meta.Features,
			Classes:  len(meta.Classes),
			Mode:     meta.Mode,
			Options:  meta.Options,
		},
		Classes: meta.Classes,
	}
	if meta.Source != nil {
		out.Source = *meta.Source
	}
	inputs := make([]flow.Type, len(meta.Inputs))
	for i, in := range meta.Inputs {
		if inputs[i], err = typeNamed(in[1]); err != nil {
			return err
		}
		out.Inputs = append(out.Inputs, Input{in[0], inputs[i]})
	}
	if meta.Target != nil {
		out.Target.Name = meta.Target[0]
		if out.Target.Type, err = typeNamed(meta.Target[1]); err != nil {
			return err
		}
	}
	if t.Task == Classify && out.Target.Type == nil {
		return fmt.Errorf("%w: a classifier without a target", ErrShape)
	}
	for _, name := range meta.Classes {
		if out.Target.Type == nil {
			break
		}
		if _, err := parseLevel(name, out.Target.Type); err != nil {
			return fmt.Errorf("%w: %v", ErrShape, err)
		}
	}
	if meta.Threshold != nil {
		out.Threshold, out.HasThreshold = *meta.Threshold, true
	}
	state, err := p.Bytes("preparation")
	if err != nil {
		return err
	}
	if out.Preparation, err = LoadPreparation(state, inputs); err != nil {
		return err
	}
	model, err := p.Bytes("model")
	if err != nil {
		return err
	}
	if out.Model, err = t.Load(out.Spec, model); err != nil {
		return err
	}
	*b = out
	return nil
}

// typeNamed reads the SQL name of a type that can be a feature or target.
func typeNamed(name string) (flow.Type, error) {
	for _, t := range []flow.Type{flow.Double, flow.Float, flow.Int, flow.Bigint, flow.String, flow.Boolean} {
		if flow.TypeName(t) == name {
			return t, nil
		}
	}
	var precision, scale int32
	if n, err := fmt.Sscanf(name, "DECIMAL(%d,%d)", &precision, &scale); err == nil && n == 2 && precision >= 1 &&
		precision <= 38 &&
		scale >= 0 &&
		scale <= precision {
		return flow.Decimal(precision, scale), nil
	}
	return nil, fmt.Errorf("%w: an input of type %s", ErrShape, name)
}

// Manifest describes a version. The engine sets the fields that it knows; Encode sets format,
// type, type_version, options, features, target, classes, threshold and payload.
type Manifest struct {
	Format   int    `json:"format"`
	Model    string `json:"model"`
	ID       string `json:"id,omitempty"`
	ParentID string `json:"parent_id,omitempty"` // the version it follows; "": it is the first
	// the rank among the topic's manifests, known to its reader
	Version int `json:"version,omitempty"`
	// the parent's number, likewise; early programs wrote both
	Parent      int                `json:"parent,omitempty"`
	Statement   string             `json:"statement,omitempty"`
	Type        string             `json:"type"`
	TypeVersion int                `json:"type_version"`
	Options     Options            `json:"options"`
	Features    []Feature          `json:"features"`
	Target      string             `json:"target,omitempty"`
	Classes     []string           `json:"classes,omitempty"`
	Transform   []Item             `json:"transform,omitempty"`
	Source      *Source            `json:"source,omitempty"`
	Cut         []Cut              `json:"cut,omitempty"`
	Window      []int64            `json:"window,omitempty"` // start and end, ms
	TrainedFrom int64              `json:"trained_from"`     // event time, ms
	TrainedTo   int64              `json:"trained_to"`
	KnownAt     int64              `json:"known_at"`
	Rows        map[string]int64   `json:"rows,omitempty"` // read, seen, used and skipped by reason
	Seed        uint64             `json:"seed"`
	Rng         string             `json:"rng"`
	Metrics     map[string]float64 `json:"metrics,omitempty"` // by "training.loss", "prequential.accuracy", ..
	Losses      []float64          `json:"losses,omitempty"`  // by pass
	Threshold   *float64           `json:"threshold,omitempty"`
	Build       map[string]string  `json:"build,omitempty"`
	Started     int64              `json:"started,omitempty"` // ms, by the worker's clock
	Finished    int64              `json:"finished,omitempty"`
	Payload     PayloadInfo        `json:"payload"`
	Signature   string             `json:"signature,omitempty"`
}

// Cut is the rows of one partition that a version was trained on: offsets [From, Until).
type Cut struct {
	Topic     string `json:"topic"`
	TopicID   string `json:"topic_id,omitempty"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from"`
	Until     int64  `json:"until"`
	Lineage   string `json:"lineage,omitempty"`
}

// PayloadInfo describes the payload's records. SHA256 is the hash of the payload before
// compression.
type PayloadInfo struct {
	Codec  string `json:"codec"`
	Bytes  int    `json:"bytes"`
	Chunks int    `json:"chunks"`
	SHA256 string `json:"sha256"`
	URI    string `json:"uri,omitempty"`
}

// canonical is JSON with sorted keys, so that equal manifests have equal bytes.
func canonical(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil, err
	}
	return json.Marshal(m)
}
