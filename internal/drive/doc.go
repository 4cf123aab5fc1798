// Package drive is what the loops around a belief have in common, that of package zkdiscovery and that of filecache.Wrap: they ask the instances that
// the belief wants asked, log what it reports, and leave a pause between two deliveries.
//
// A [Driver] and a [Pace] belong to the goroutine of the loop that owns the belief. A [Gate] is shared by many loops. A [Guard] is what a user may say
// about all of that.
package drive
