//go:build race

package holdfast_test

// raceDetector says that races of other people's would be reported, too.
const raceDetector = true
