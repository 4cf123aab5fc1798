package docs

import (
	"strings"
	"testing"
)

// limit is what a page says that the library does not do, by how it begins, and the tests that show it. Where no test can, a reason stands instead.
type limit struct {
	begins, tests, reason string
}

// limits are in each page's order, so that a new one is seen here, and one that is no longer true goes from both.
var limits = map[string][]limit{
	"README.md": {
		{begins: "A call that is under way", tests: "TestEveryErrorOfThePageIsProvoked TestAFailingFleetIsKeptAwayFrom"},
		{begins: "An old list may name dead servers", tests: "TestTheDeadOfAStaleFileCostNothingAfterTwoSeconds TestO2StartsFromTheFileAndGoesLiveSeamlessly"},
		{begins: "A mass loss that is meant", tests: "TestTheDeadLeaveWithinSeconds TestO7ARealScaleDownIsFollowed"},
		{begins: "A server that is killed", tests: "TestServerAndClientWorkAsTheyAreToBeCopied"},
		{begins: "With rpcx's `Option.Sticky`", tests: "TestStickyTellsOfTheServerThatItKeeps"},
		{begins: "No SASL", reason: "there is no option for it"},
	},
	"docs/cache-file.md": {
		{begins: "Windows replaces a file", reason: "it is what Microsoft says"},
		{begins: "On a network file system without locks", tests: "TestFileSystemWithoutLocksWillDo TestWhatAFileSystemRefusesCostsOnlyWhatItProtects"},
		{begins: "`WithMaxCacheAge` refuses", tests: "TestTooOldCountsFromTheLastConfirmation TestAFileFromTheFutureIsOfUnknownAge"},
	},
	"docs/configuration.md": {
		{begins: "`Snapshot().AsOf` is when", tests: "TestAListIsNeverConfirmedAsOfAMomentAtWhichItWasOutdated TestL7LaggingServerDoesNotTakeTheListBack"},
		{begins: "A change that was undone", tests: "TestL6ChildThatVanishesWhileItIsReadIsNoError TestL8AnInstanceThatIsFilteredOutComesAndGoesUnseen"},
		{begins: "With rpcx's `Option.Sticky`", tests: "TestStickyTellsOfTheServerThatItKeeps"},
		{begins: "Processes that share a cache directory", tests: "TestAProcessThatIsCutOffTakesTheListOfOneThatObeys"},
		{begins: "A backup of ZooKeeper", tests: "TestARestoredBackupInWhichTheSessionLivesIsAnotherHistory TestMetadataThatWereWrittenAnewAfterARestoreAreSeenAtTheReconnect"},
	},
	"docs/guard.md": {
		{begins: "**A service that is taken down on purpose", tests: "TestMoreThanHalfAreHeldAndStayWhileTheyAnswer TestTheDeadLeaveWithinSeconds TestO7ADrainIsFollowedAtOnce"},
		{begins: "An instance that was unregistered during an incident", tests: "TestMoreThanHalfAreHeldAndStayWhileTheyAnswer"},
		{begins: "Instances that neither answer nor refuse", tests: "TestBlackHolesStayUntilTheyWereAskedTwice TestAProcessNeverHasMoreThan64ProbesAtOnce TestAHoldEndsWhenItWasAskedTwiceOrAnHourHasPassed"},
		{begins: "When another rpcx server has taken the address", tests: "TestHeartbeatAsksAnRPCXServer TestSomethingElseOnAReusedAddressIsNoAnswer"},
		{begins: "Of a loss of more than 10,000", tests: "TestAHostileListStaysBounded"},
		{begins: "A held instance has the metadata", tests: "TestARelayedHoldHasTheMetadataThatItsHolderKnewLast"},
		{begins: "A client that is cut off", tests: "TestO7AndO1WhoeverIsCutOffLetsNobodyGo TestNobodyLeavesWhileTheRegistryIsAway"},
	},
	"docs/registration.md": {
		{begins: "A server that is killed", tests: "TestServerAndClientWorkAsTheyAreToBeCopied TestEveryErrorOfThePageIsProvoked"},
		{begins: "`Drain` does not reach", tests: "TestStickyTellsOfTheServerThatItKeeps TestDrainIsBoundedWhenZooKeeperHangs"},
		{begins: "An operator's word is for the process", tests: "TestAWordIsForTheProcessThatIs TestAnOperatorsWordOutlivesEverythingButTheProcess"},
		{begins: "Clients of rpcx-zookeeper", tests: "TestAnOperatorDrainsBeforeTheirClient"},
		{begins: "A persistent node at the address", tests: "TestAPersistentNodeIsReplacedWithWhatStandsBelowIt"},
		{begins: "A server of rpcx-zookeeper that lives on", tests: "TestANewServerReplacesAnOldOneAtItsAddress TestAnOldServersMetricsAreOverruled"},
		{begins: "A `Register` whose create was lost", tests: "TestAClaimThatWasLostWithItsSessionYields"},
		{begins: "A write to ZooKeeper can depend", tests: "TestProcessesCompete TestRandomHistoriesEndWithOneOwner"},
	},
	"docs/selector.md": {
		{begins: "Calls in flight and latencies", tests: "TestAPoolSharesWhatItsMembersKnow TestLatencyIsTheServers"},
		{begins: "With `Option.Sticky`", tests: "TestStickyTellsOfTheServerThatItKeeps TestAStickyXClientKeepsWhoHasAnswered"},
		{begins: "`Broadcast` and `Fork`", tests: "TestBroadcastAndForkTellOfDialFailuresAndBrokenConnections"},
		{begins: "Of a stream", tests: "TestStreamAndFilesTellOfTheirCall"},
	},
}

// bullets are the items of a page below the headings that have some words.
func bullets(p *page, words string) (all []string) {
	below := false
	for line := range strings.SplitSeq(p.prose, "\n") {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			below = strings.Contains(title, words)
		} else if item, ok := strings.CutPrefix(line, "- "); ok && below {
			all = append(all, item)
		}
	}
	return all
}

func TestEveryLimitHasATestThatShowsIt(t *testing.T) {
	code := readCode(t)
	pages := 0
	for _, p := range english(t) {
		words := "What does not hold"
		if p.name == "README.md" {
			words = "and what does not"
		}
		said, known := bullets(p, words), limits[p.name]
		if len(said) > 0 {
			pages++
		}
		if len(said) != len(known) {
			t.Errorf("%s tells of %d limits, %d are known here", p.name, len(said), len(known))
			continue
		}
		for i, l := range known {
			if !strings.HasPrefix(said[i], l.begins) {
				t.Errorf("%s: %q is not known here, where %q is", p.name, said[i], l.begins)
			}
			if l.tests == "" && l.reason == "" {
				t.Errorf("%s: %q has no test and no reason", p.name, l.begins)
			}
			for test := range strings.FieldsSeq(l.tests) {
				if !code.tests[test] {
					t.Errorf("%s: %q: there is no %s", p.name, l.begins, test)
				}
			}
		}
	}
	if pages != len(limits) {
		t.Errorf("%d pages tell of limits, %d are known here", pages, len(limits))
	}
}
