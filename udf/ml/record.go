package ml

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/streamql/streamql/topic"
)

// chunkSize keeps a record of a model topic below the usual broker limit of 1 MiB.
const chunkSize = 900 << 10

// manifestFormat is the newest form of version that this program writes and reads.
const manifestFormat = 1

// Key identifies a record of a model topic: chunk number Chunk of the payload of version ID, or
// its manifest (Chunk -1).
type Key struct {
	ID    string
	Chunk int
}

// String returns the key: v/ID/0000, v/ID/manifest. In topics of early versions of the program
// the id is the version's number, as 00000001.
func (k Key) String() string {
	if k.Chunk < 0 {
		return "v/" + k.ID + "/manifest"
	}
	return fmt.Sprintf("v/%s/%04d", k.ID, k.Chunk)
}

// NumberID returns the id that early versions of the program used for a version: its number.
func NumberID(n int) string { return fmt.Sprintf("%08d", n) }

// ParseKey reads a key of a version's record; ok is false for the topic's other records
// (default, alias/x, ..).
func ParseKey(key []byte) (k Key, ok bool) {
	parts := strings.Split(string(key), "/")
	if len(parts) != 3 || parts[0] != "v" || parts[1] == "" {
		return k, false
	}
	k.ID = parts[1]
	if parts[2] == "manifest" {
		k.Chunk = -1
		return k, true
	}
	chunk, err := strconv.ParseUint(parts[2], 10, 31)
	k.Chunk = int(chunk)
	return k, err == nil && k.String() == string(key)
}

// Encode returns the records of a version in the order in which they must be written: chunks,
// then the manifest. It sets the manifest's fields that the bundle knows and returns the
// manifest as written. The numbers of the version and its parent are not written: they are the
// ranks of ids in the topic, known when it is read. Records have no timestamp: the caller's
// transaction sets it.
func Encode(b *Bundle, m Manifest) ([]topic.Record, Manifest, error) {
	if m.ID == "" || strings.Contains(m.ID, "/") {
		return nil, m, fmt.Errorf("%q cannot be the id of a version", m.ID)
	}
	m.Version, m.Parent = 0, 0
	payload, err := b.MarshalBinary()
	if err != nil {
		return nil, m, err
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, m, err
	}
	packed := enc.EncodeAll(payload, nil)
	enc.Close()
	t, err := Lookup(b.Spec.Type)
	if err != nil {
		return nil, m, err
	}
	sum := sha256.Sum256(payload)
	m.Format, m.Type, m.TypeVersion, m.Options = manifestFormat, t.Name, t.Version, b.Spec.Options
	m.Features, m.Transform, m.Target, m.Classes = b.Preparation.Features(), b.Preparation.Items(), b.Target.Name, b.Classes
	m.Seed, m.Rng = b.Spec.seed(), b.Spec.Options.Text("rng")
	if b.Source.Known() {
		m.Source = &b.Source
	}
	if b.HasThreshold {
		m.Threshold = &b.Threshold
	}
	var records []topic.Record
	for len(packed) > 0 {
		n := min(chunkSize, len(packed))
		key := Key{m.ID, len(records)}
		records = append(records, topic.Record{Key: []byte(key.String()), Value: packed[:n:n]})
		packed = packed[n:]
	}
	m.Payload = PayloadInfo{
		Codec:  "zstd",
		Bytes:  len(payload),
		Chunks: len(records),
		SHA256: hex.EncodeToString(sum[:]),
	}
	text, err := canonical(m)
	if err != nil {
		return nil, m, err
	}
	return append(records, topic.Record{Key: []byte(Key{m.ID, -1}.String()), Value: text}), m, nil
}

// ReadManifest reads a manifest's bytes. A newer format wraps ErrFormat, anything unreadable
// ErrShape.
func ReadManifest(text []byte) (Manifest, error) {
	var head struct{ Format int }
	if err := json.Unmarshal(text, &head); err != nil {
		return Manifest{}, fmt.Errorf("%w: manifest: %v", ErrShape, err)
	}
	if head.Format > manifestFormat {
		return Manifest{}, fmt.Errorf(
			"%w: manifest format %d, this program reads up to %d",
			ErrFormat,
			head.Format,
			manifestFormat,
		)
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%w: manifest: %v", ErrShape, err)
	}
	if m.Payload.Codec != "zstd" {
		return m, fmt.Errorf("%w: payload codec %q", ErrFormat, m.Payload.Codec)
	}
	if m.Payload.Bytes < 0 || m.Payload.Bytes > MaxPayload || m.Payload.Chunks < 0 ||
		m.Payload.Chunks > MaxPayload/chunkSize+2 {
		return m, fmt.Errorf("%w: a payload of %d bytes in %d chunks", ErrShape, m.Payload.Bytes, m.Payload.Chunks)
	}
	return m, nil
}

// Decode decodes a version from its records, in any order, and validates it: the manifest
// exists (a version without one is incomplete, which the caller handles), the chunks are
// complete, the checksum is correct (ErrHash), and the shapes are as announced (ErrShape).
func Decode(records []topic.Record) (*Bundle, Manifest, error) {
	chunks := make(map[int][]byte, len(records))
	var manifest []byte
	for _, r := range records {
		k, ok := ParseKey(r.Key)
		switch {
		case !ok || r.Value == nil:
		case k.Chunk < 0:
			manifest = r.Value
		default:
			chunks[k.Chunk] = r.Value
		}
	}
	if manifest == nil {
		return nil, Manifest{}, fmt.Errorf("%w: the manifest is missing", ErrShape)
	}
	m, err := ReadManifest(manifest)
	if err != nil {
		return nil, m, err
	}
	var packed bytes.Buffer
	for i := range m.Payload.Chunks {
		chunk, ok := chunks[i]
		if !ok {
			return nil, m, fmt.Errorf("%w: chunk %d of %d is missing", ErrHash, i, m.Payload.Chunks)
		}
		packed.Write(chunk)
	}
	payload, err := unpack(packed.Bytes(), m.Payload.Bytes)
	if err != nil {
		return nil, m, err
	}
	if sum := sha256.Sum256(payload); hex.EncodeToString(sum[:]) != m.Payload.SHA256 {
		return nil, m, fmt.Errorf("%w: %s", ErrHash, m.Model)
	}
	b := new(Bundle)
	if err := b.UnmarshalBinary(payload); err != nil {
		return nil, m, err
	}
	return b, m, nil
}

// unpack allocates no more than the announced size, or 1 MiB if that is less (a frame of a few
// bytes may announce a larger window), whatever the frame claims.
func unpack(packed []byte, size int) ([]byte, error) {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(max(size, 1<<20))))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	payload, err := r.DecodeAll(packed, make([]byte, 0, min(size, 1<<20)))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrHash, err)
	}
	if len(payload) != size {
		return nil, fmt.Errorf("%w: %d bytes instead of %d", ErrHash, len(payload), size)
	}
	return payload, nil
}
