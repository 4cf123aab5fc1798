//go:build !race

package holdfast_test

const raceDetector = false
