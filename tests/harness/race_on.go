//go:build race

package harness

// RaceDetector says whether the tests run with the race detector. It reports races of other people's code, too.
const RaceDetector = true
