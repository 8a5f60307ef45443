package sink

// What the tests of one image and of one manifest part call.
var (
	WriteImage = (*Sink).write
	WritePart  = (*Sink).writePart
)
