package ml

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/streamql/streamql/udf/ml/nn"
)

// The limits of a net.
const (
	maxLayers = 64
	maxUnits  = 16_384
	maxParams = 64 << 20
)

// parseLayers reads '14:tanh,7:relu' for a net of inputs inputs: units and activation (none:
// linear) of each layer. Unless the last layer is as wide as outputs, one such is added with
// the activation last.
func parseLayers(text string, inputs, outputs int, last nn.Activation) ([]nn.Layer, error) {
	var layers []nn.Layer
	in := inputs
	for i, part := range strings.Split(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" && text == "" {
			break
		}
		number, word, _ := strings.Cut(part, ":")
		units, err := strconv.Atoi(strings.TrimSpace(number))
		if err != nil || units < 1 || units > maxUnits {
			return nil, &LayersError{
				i + 1,
				fmt.Sprintf("%q is not units:activation with 1 to %d units", part, maxUnits),
			}
		}
		act := nn.Linear
		if strings.Contains(part, ":") {
			if act, err = nn.ParseActivation(strings.ToLower(strings.TrimSpace(word))); err != nil {
				return nil, &LayersError{i + 1, err.Error()}
			}
		}
		layers = append(layers, nn.Layer{In: in, Out: units, Act: act})
		in = units
	}
	if len(layers) == 0 || in != outputs {
		layers = append(layers, nn.Layer{In: in, Out: outputs, Act: last})
	}
	if inputs < 1 {
		return nil, &LayersError{0, "there is no feature"}
	}
	if n := nn.Size(layers); len(layers) > maxLayers || n > maxParams || n < 0 {
		return nil, &LayersError{
			0,
			fmt.Sprintf(
				"%d layers with %d parameters are over the limit of %d and %d",
				len(layers),
				n,
				maxLayers,
				maxParams,
			),
		}
	}
	return layers, nil
}

// layersText formats layers as in the option.
func layersText(layers []nn.Layer) string {
	parts := make([]string, len(layers))
	for i, l := range layers {
		parts[i] = fmt.Sprintf("%d:%s", l.Out, l.Act)
	}
	return strings.Join(parts, ",")
}
