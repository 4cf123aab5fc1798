//go:build !unix

package weather

import "time"

func processorTime() time.Duration { return 0 }
