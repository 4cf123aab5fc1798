//go:build !race

package serverplugin

const raceDetector = false
