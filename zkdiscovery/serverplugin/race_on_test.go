//go:build race

package serverplugin

const raceDetector = true
