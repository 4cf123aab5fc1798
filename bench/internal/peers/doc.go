// Package peers documents, by tests/contract, what is wrong with the discoveries that people use with rpcx and ZooKeeper today: each check that
// one of them breaks is named in the test, with the reason, and the test fails when it breaks no more.
package peers
