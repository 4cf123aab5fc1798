// Package layers holds no code, only the test that keeps every package of Holdfast to the imports it is meant to have.
//
// The parts are worth having one by one because of what they do not know: filecache and selector work without ZooKeeper, zktest can be
// imported by anybody's tests, and whatever go-zookeeper does badly is dealt with in one folder. One import in passing ends that, and
// nothing else would notice.
package layers
