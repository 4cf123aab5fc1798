//go:build !race

package main

// raceDetector says that races of other people's would be reported, too.
const raceDetector = false
