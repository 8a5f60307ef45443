package setting

import "strings"

// maxWord is the length in bytes of the longest word that Nearest compares: the cost is the product of both lengths.
const maxWord = 64

// Nearest returns the candidate that word was most likely meant to be, and false when none is near: at most one edit
// per three characters, and at least one. It ignores case, hyphens and underscores.
func Nearest(word string, candidates []string) (string, bool) {
	if len(word) > maxWord {
		return "", false
	}
	best, least := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		if Plain(word) == Plain(c) { // maxPixels, max-pixels
			return c, true
		}
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	return best, best != ""
}

// DidYouMean returns " (did you mean X?)", or "" when no candidate is near.
func DidYouMean(word string, candidates []string) string {
	if c, ok := Nearest(word, candidates); ok {
		return " (did you mean " + c + "?)"
	}
	return ""
}

// Plain returns word in lower case, without hyphens and underscores.
func Plain(word string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(word))
}

// distance returns the number of single-character edits (insert, delete, replace, swap of neighbours) between a
// and b: the optimal string alignment distance.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
