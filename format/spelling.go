package format

// javaSpelling returns the spelling of Java for a number that is not finite in the spelling of C and Python.
func javaSpelling(text []byte) []byte {
	switch string(text) {
	case "nan":
		return []byte("NaN")
	case "inf", "+inf":
		return []byte("Infinity")
	case "-inf":
		return []byte("-Infinity")
	}
	return text
}
