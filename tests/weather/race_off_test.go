//go:build !race

package weather

const raceDetector = false
