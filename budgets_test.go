package kvsframes

import (
	"os"
	"strings"
	"testing"
)

func TestBudgetsGrowWithTheWorkers(t *testing.T) {
	for _, test := range []struct {
		workers         int
		shared, ordered bool
		want            budgets
	}{
		{1, false, false, budgets{2, 128 * mib, 16 * mib}},
		{2, false, true, budgets{3, 128 * mib, 32 * mib}},
		{16, false, false, budgets{17, 128 * mib, 64 * mib}},
		{16, false, true, budgets{17, 128 * mib, 256 * mib}},
		{128, false, false, budgets{129, 1024 * mib, 512 * mib}},
		{16, true, true, budgets{2, 128 * mib, 4 * mib}},
	} {
		if got := budgetsOf(test.workers, test.shared, test.ordered); got != test.want {
			t.Errorf("%+v: got %+v", test, got)
		}
	}
}

func TestTheTableOfBudgetsHasTheirSizes(t *testing.T) {
	page, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []string{"| 128 MiB or W × 8 MiB, whichever is more; and W + 1 fragments (2 if", "| 16 MiB or W × 4 MiB, whichever is more; W × 16 MiB if a sink takes one image at a time; 4 MiB if"} {
		if !strings.Contains(string(page), size) {
			t.Errorf("ARCHITECTURE.md lacks %q", size)
		}
	}
}
