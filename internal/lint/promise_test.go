package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// clause is a part of what the README promises of delivery, and tests that fail if it does not hold.
type clause struct {
	text  string
	tests []string
}

// promise is that paragraph, clause by clause.
var promise = []clause{
	{"For every fragment that the source hands on", []string{
		"TestNothingIsLostOrDoubledWhateverHappens", "TestFramesAreTheSameOver300Cuts", "TestASoakLosesAndRepeatsNothing",
	}},
	{"and every sink with a position (all but stdout),", []string{
		"TestASinkThatFailedCatchesUpAlone", "TestANewSinkBeginsWhereTheOthersAre", "TestRunsThatAreKilledLoseAndRepeatNothing",
	}},
	{"each sample ends as exactly one durable object", []string{
		"TestEachDifferenceIsOneFinding", "TestRunsThatAreKilledLoseAndRepeatNothing", "TestRunsThatAreInterruptedAreContinued", "TestASoakLosesAndRepeatsNothing",
		"TestRunCommitsEveryFragmentInOrderAndOnlyWhatIsDurable",
	}},
	{"(or one place in a group's)", []string{
		"TestAnObjectMayHoldManyFragments", "TestAFailingSinkLeavesWholeObjects", "TestASinkOfManyFragmentsAnObjectConforms",
		"TestFormsOfSeveralImagesConform", "TestARunThatContinuesMakesTheSameGroups", "TestRunsThatAreKilledLoseAndRepeatNothing",
	}},
	{"or as one record in the ledger.", []string{
		"TestTheLedgerNamesWhatTheSinkDidNotGet", "TestSinksGetTheGapsOfTheirPlaceInOrder", "TestRunsOverDamageAgreeAndTellOfIt", "TestRunsThatAreKilledLoseAndRepeatNothing",
	}},
	{"A key written twice is written with the same bytes.", []string{
		"TestASecondRunLeavesTheSameFiles", "TestARecordThatIsNotTrueIsFoundWithoutTheOtherRun", "TestRunsThatAreKilledLoseAndRepeatNothing",
	}},
	{"Through SIGKILL,", []string{"TestRunsThatAreKilledLoseAndRepeatNothing", "TestASoakLosesAndRepeatsNothing"}},
	{"power cuts,", []string{"TestAPowerCutLosesNothing", "TestAFileThatIsSyncedIsOldOrNewAfterEveryPowerCut"}},
	{"full disks,", []string{"TestAFullDiskIsWaitedFor", "TestAProcessWithoutFreeFilesWaits", "TestNoFaultOfADiskLosesAnything"}},
	{"absent servers,", []string{"TestAnOutageOfTheStoreLosesNothing", "TestABadNetworkToTheStoreLosesNothing", "TestAnOutageIsNoEndOfAStream", "TestNoFaultOfAStoreLosesAnything", "TestNoFaultOfASourceLosesAnything"}},
	{"damaged video,", []string{"TestRunsOverDamageAgreeAndTellOfIt", "TestRunsThatAreKilledLoseAndRepeatNothing", "TestASoakLosesAndRepeatsNothing"}},
	{"and a restart on another machine.", []string{
		"TestALeaseConforms", "TestRunsThatAreKilledLoseAndRepeatNothing", "TestTwoRunsOfOneStreamDoNotMix", "TestARunThatWasPausedPastItsLeaseWritesNothingMore",
	}},
}

var testName = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)

// unkept returns what is wrong with a promise: a page that does not have it word for word, and tests that are not there.
func unkept(page string, promise []clause, tests map[string]bool) (findings []string) {
	var words []string
	for _, c := range promise {
		words = append(words, strings.Fields(c.text)...)
		if len(c.tests) == 0 {
			findings = append(findings, fmt.Sprintf("no test shows %q", c.text))
		}
		for _, name := range c.tests {
			if !tests[name] {
				findings = append(findings, fmt.Sprintf("%s, which shows %q, is not there", name, c.text))
			}
		}
	}
	if !strings.Contains(strings.Join(strings.Fields(page), " "), strings.Join(words, " ")) {
		findings = append(findings, "the page does not promise: "+strings.Join(words, " "))
	}
	return findings
}

func TestEachClauseOfThePromiseHasItsTests(t *testing.T) {
	root := root(t)
	tests := map[string]bool{}
	for _, name := range repositoryFiles(t, root) {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range testName.FindAllSubmatch(text, -1) {
			tests[string(found[1])] = true
		}
	}
	page, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	report(t, unkept(string(page), promise, tests))
}

func TestPromiseRule(t *testing.T) {
	tests := map[string]bool{"TestOne": true, "TestTwo": true}
	whole := []clause{{"It is", []string{"TestOne"}}, {"so.", []string{"TestOne", "TestTwo"}}}
	for _, tt := range []struct {
		name, page string
		promise    []clause
		want       int
	}{
		{"a promise with its tests is fine", "Read this: It\nis so. And more.", whole, 0},
		{"another word is reported", "It was so.", whole, 1},
		{"a clause without a test is reported", "It is so.", []clause{{"It is so.", nil}}, 1},
		{"a test that is not there is reported", "It is so.", []clause{{"It is so.", []string{"TestOne", "TestThree"}}}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := unkept(tt.page, tt.promise, tests); len(got) != tt.want {
				t.Errorf("%d findings, want %d: %q", len(got), tt.want, got)
			}
		})
	}
}
